// Package line has goroutines wait for what a mutex guards.
package line

import (
	"context"
	"slices"
	"sync"
)

// A Line is who waits. The zero value is an empty one; it is guarded by the mutex that its methods are given, which is always the same.
type Line struct {
	sleepers []*sleeper
	spare    []*sleeper
	waking   bool // one was woken, and has not come yet
}

// A sleeper is somebody who waits; those who wait use it one after the other.
type sleeper struct {
	wake chan struct{} // of capacity one: a token tells that it is in the line no more
}

// Wait waits until there may be something, done is closed, or ctx ends, whose error it returns. The caller holds mu, though not meanwhile, and
// calls Wake afterwards.
func (l *Line) Wait(ctx context.Context, mu *sync.Mutex, done <-chan struct{}) error {
	var s *sleeper
	if last := len(l.spare) - 1; last >= 0 {
		s, l.spare = l.spare[last], l.spare[:last]
	} else {
		s = &sleeper{make(chan struct{}, 1)}
	}
	l.sleepers = append(l.sleepers, s)
	mu.Unlock()
	woken := false
	select {
	case <-s.wake:
		woken = true
	case <-done:
	case <-ctx.Done():
	}
	err := ctx.Err()
	mu.Lock()
	if !woken {
		i := slices.Index(l.sleepers, s)
		if woken = i < 0; woken {
			mu.Unlock()
			<-s.wake
			mu.Lock()
		} else {
			l.sleepers = slices.Delete(l.sleepers, i, i+1)
		}
	}
	l.waking = l.waking && !woken
	l.spare = append(l.spare, s)
	return err
}

// Wake wakes the one that has waited least, which is the cheapest, if there is something and none is on its way, and unlocks mu. Who has taken
// something calls it, too: so there are as many as are needed at a time, and one that has ended before the next is there takes more.
func (l *Line) Wake(mu *sync.Mutex, something bool) {
	var s *sleeper
	if last := len(l.sleepers) - 1; something && !l.waking && last >= 0 {
		s, l.sleepers[last] = l.sleepers[last], nil
		l.sleepers = l.sleepers[:last]
		l.waking = true
	}
	mu.Unlock()
	if s != nil {
		s.wake <- struct{}{} // there is room: it is woken once
	}
}
