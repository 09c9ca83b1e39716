package line_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/goslo/goslo/internal/line"
)

// store is what a line is for: things that many take.
type store struct {
	mu     sync.Mutex
	line   line.Line
	things int
	done   chan struct{}
}

func (s *store) put(n int) {
	s.mu.Lock()
	s.things += n
	s.line.Wake(&s.mu, s.things > 0)
}

func (s *store) take(ctx context.Context) error {
	s.mu.Lock()
	var err error
	for s.things == 0 && err == nil {
		select {
		case <-s.done:
			err = context.Canceled
		default:
			err = s.line.Wait(ctx, &s.mu, s.done)
		}
	}
	if err == nil {
		s.things--
	}
	s.line.Wake(&s.mu, s.things > 0)
	return err
}

// Everything is taken, by as many as wait, also when some of them give up.
func TestLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &store{done: make(chan struct{})}
		const each, takers = 100, 8
		var working sync.WaitGroup
		for range takers {
			working.Go(func() {
				for range each {
					if err := s.take(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
			working.Go(func() { // is never served in vain
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				if err := s.take(ctx); err == nil {
					s.put(1)
				}
			})
		}
		for n := 0; n < each*takers; n += 5 {
			synctest.Wait()
			s.put(5)
		}
		working.Wait()
		if s.things != 0 {
			t.Errorf("%d are left", s.things)
		}
		end := make(chan error)
		go func() { end <- s.take(t.Context()) }()
		synctest.Wait()
		close(s.done)
		if err := <-end; !errors.Is(err, context.Canceled) {
			t.Errorf("after the end: %v", err)
		}
	})
}
