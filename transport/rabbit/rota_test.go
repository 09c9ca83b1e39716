package rabbit

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Those that are due are visited, with those that will be soon; not more at a time than may be, and nobody late.
func TestRotaTakesWhoIsDue(t *testing.T) {
	t.Parallel()
	const every = 8 * time.Second
	now := time.Now()
	r := newRota()
	add := func(in time.Duration) *visit {
		v := &visit{at: now.Add(in)}
		r.add(v)
		return v
	}
	later, soon, first := add(3*time.Second), add(1900*time.Millisecond), add(time.Second)
	if len(r.wake) != 1 {
		t.Error("the goroutine sleeps on, although somebody is due before all others")
	}
	if all, wait := r.take(now, every); len(all) > 0 || wait != time.Second {
		t.Errorf("%d are visited, and the next after %v; the first is due after 1s", len(all), wait)
	}
	if all, _ := r.take(now.Add(time.Second), every); !slices.Equal(all, []*visit{first, soon}) {
		t.Errorf("visited: %v; want the one that is due, and the one that will be within 2s", all)
	}
	r.drop(later)
	if all, wait := r.take(now.Add(every), every); len(all) > 0 || wait < every {
		t.Errorf("one that was given up is visited: %v, %v", all, wait)
	}
	for range visitedTogether + 1 {
		add(0)
	}
	if all, _ := r.take(now, every); len(all) != visitedTogether {
		t.Errorf("%d are visited together", len(all))
	}
	if all, _ := r.take(now, every); len(all) != 1 {
		t.Errorf("%d are visited thereafter", len(all))
	}
}

// A link asks its broker for a sign of life after two seconds of silence, and has its sibling ask at the same time if that would soon: so the
// broker is woken once for both.
func TestSiblingsAskTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began, end := time.Now(), make(chan struct{})
		pair := [2]*link{newLink(&settings{}, "send", nil), newLink(&settings{}, "listen", nil)}
		pair[0].sibling, pair[1].sibling = pair[1], pair[0]
		var asked [2][]time.Duration
		var running sync.WaitGroup
		for i, l := range pair {
			s := &session{sock: &mux{socket: &socket{}}, asks: make(chan struct{}, 1), closes: make(chan *amqp.Error)}
			running.Go(func() {
				<-time.After(time.Duration(i) * 5 * beat) // virtual
				_, _ = l.watch(t.Context(), s)
			})
			running.Go(func() { // the broker
				for {
					select {
					case <-s.asks:
						asked[i] = append(asked[i], time.Since(began))
						s.sock.reads.Add(1)
					case <-end:
						close(s.closes)
						return
					}
				}
			})
		}
		<-time.After(20 * time.Second)
		close(end)
		running.Wait()
		first, second := asked[0], asked[1]
		if len(first) > len(second) {
			first = first[1:] // before the other had been silent for long
		}
		if len(second) < 7 || len(first) != len(second) {
			t.Fatalf("asked within 20s after %v and %v", asked[0], asked[1])
		}
		for i, at := range first {
			if off := (at - second[i]).Abs(); off > beat {
				t.Errorf("asked after %v and %v", asked[0], asked[1])
				break
			}
		}
	})
}
