package cli

import (
	"context"
	"errors"
	"time"
)

// topLive is top on a terminal.
func (a *app) topLive(ctx context.Context, s *topSampler, order topOrder, every time.Duration) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	samples := make(chan topResult)
	ask := make(chan struct{}, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.run(ctx, every, ask, samples)
	}()
	defer func() {
		cancel()
		<-ended
	}()
	t, err := openTTY(a.terminal())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	view := topView{order: order}
	for {
		shape := a.screen()
		width, height := t.size()
		shape.width = width
		if err := t.draw(view.render(shape, height)); err != nil {
			return err
		}
		select {
		case r := <-samples:
			if r.err != nil {
				f := a.explain(ctx, r.err)
				if view.sample == nil || f.Code == codeUsage {
					return r.err // it never worked
				}
				view.notice = f.Message
				continue
			}
			view.sample, view.notice = r.sample, ""
		case key := <-t.keys:
			switch key {
			case "q", "\x03":
				return nil
			case " ":
				select {
				case ask <- struct{}{}:
				default: // it is asked already
				}
			default:
				view.press(key, height)
			}
		case <-t.sizes:
		case <-ctx.Done():
			return nil
		}
	}
}

// press is a key that changes what is shown.
func (v *topView) press(key string, height int) {
	switch key {
	case "\x1b[A", "\x1bOA", "k":
		v.first--
	case "\x1b[B", "\x1bOB", "j":
		v.first++
	case "\x1b[5~":
		v.first -= height / 2
	case "\x1b[6~":
		v.first += height / 2
	default:
		if order, ok := v.order.pressed(key[0]); ok && len(key) == 1 {
			v.order, v.first = order, 0
		}
	}
	v.first = max(v.first, 0)
}

// A topResult is a sample, or why there is none.
type topResult struct {
	sample *topSample
	err    error
}

// run takes samples until ctx ends: so often, and when it is asked to.
func (s *topSampler) run(ctx context.Context, every time.Duration, ask <-chan struct{}, samples chan<- topResult) {
	timer := time.NewTicker(every)
	defer timer.Stop()
	for {
		sample, err := s.sample(ctx)
		select {
		case samples <- topResult{sample, err}:
		case <-ctx.Done():
			return
		}
		select {
		case <-timer.C:
		case <-ask:
		case <-ctx.Done():
			return
		}
	}
}
