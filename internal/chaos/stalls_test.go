package chaos_test

import (
	"sync"
	"time"
)

// A stall is a time in which the machine did not let this process run. No deadline could hold then.
type stall struct{ from, to time.Time }

// A clock notices stalls: its ticks come late. It is one goroutine, which ends with stop.
type clock struct {
	halt chan struct{}
	done chan struct{}

	mu     sync.Mutex
	stalls []stall
}

// How often the clock ticks, and from when on a late tick is a stall.
const (
	clockTick  = 20 * time.Millisecond
	clockStall = 300 * time.Millisecond
)

func startClock() *clock {
	c := &clock{halt: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(c.done)
		tick := time.NewTicker(clockTick)
		defer tick.Stop()
		last := time.Now()
		for {
			select {
			case <-tick.C:
			case <-c.halt:
				return
			}
			now := time.Now()
			if now.Sub(last) > clockStall {
				c.mu.Lock()
				c.stalls = append(c.stalls, stall{last, now})
				c.mu.Unlock()
			}
			last = now
		}
	}()
	return c
}

func (c *clock) stop() {
	close(c.halt)
	<-c.done
}

func (c *clock) all() []stall {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]stall(nil), c.stalls...)
}

// stalled is how much of the time between the two was stalls.
func stalled(stalls []stall, from, to time.Time) time.Duration {
	var sum time.Duration
	for _, s := range stalls {
		begin, end := s.from, s.to
		if begin.Before(from) {
			begin = from
		}
		if end.After(to) {
			end = to
		}
		sum += max(0, end.Sub(begin))
	}
	return sum
}
