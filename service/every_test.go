package service_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/service"
)

// A task begins when it says, never twice at a time, and leaves out what it has missed.
func TestEveryBegins(t *testing.T) {
	t.Parallel()
	s := time.Second
	for name, c := range map[string]struct {
		p     service.Periodic
		takes []time.Duration // of the runs, the last for all further ones
		want  []time.Duration // begins
	}{
		"spacing":       {service.Periodic{Spacing: 10 * s}, []time.Duration{s}, []time.Duration{10 * s, 20 * s, 30 * s}},
		"initial delay": {service.Periodic{Spacing: 10 * s, InitialDelay: 3 * s}, []time.Duration{s}, []time.Duration{3 * s, 13 * s, 23 * s}},
		"immediately":   {service.Periodic{Spacing: 10 * s, InitialDelay: 3 * s, Immediately: true}, []time.Duration{s}, []time.Duration{0, 10 * s, 20 * s}},
		"too long":      {service.Periodic{Spacing: 10 * s, Immediately: true}, []time.Duration{25 * s, s}, []time.Duration{0, 30 * s, 40 * s}},
		"as long":       {service.Periodic{Spacing: 10 * s, Immediately: true}, []time.Duration{10 * s, s}, []time.Duration{0, 20 * s, 30 * s}},
		"timeout":       {service.Periodic{Spacing: 10 * s, Immediately: true, Timeout: 4 * s}, []time.Duration{time.Hour}, []time.Duration{0, 10 * s, 20 * s}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				start := time.Now()
				var begins []time.Duration
				ctx, stop := context.WithCancel(t.Context())
				task := service.Every(c.p, func(ctx context.Context) error {
					begins = append(begins, time.Since(start))
					if len(begins) == len(c.want) {
						stop()
					}
					takes := c.takes[min(len(begins), len(c.takes))-1]
					select {
					case <-time.After(takes):
					case <-ctx.Done():
					}
					return nil
				})
				if err := task.Run(ctx); err != nil {
					t.Error(err)
				}
				if !slices.Equal(begins, c.want) {
					t.Errorf("it began at %s, want %s", begins, c.want)
				}
			})
		})
	}
}

// Jitter puts off each start, and does not add up.
func TestEveryJitters(t *testing.T) {
	bubble(t, func(t *testing.T) {
		start := time.Now()
		ctx, stop := context.WithCancel(t.Context())
		var off []time.Duration
		task := service.Every(service.Periodic{Spacing: time.Minute, Jitter: time.Second}, func(context.Context) error {
			off = append(off, time.Since(start)-time.Duration(len(off)+1)*time.Minute)
			if len(off) == 100 {
				stop()
			}
			return nil
		})
		if err := task.Run(ctx); err != nil {
			t.Error(err)
		}
		if low, high := slices.Min(off), slices.Max(off); low < 0 || high >= time.Second || high-low < 100*time.Millisecond {
			t.Errorf("put off by %s to %s, want it spread over a second", low, high)
		}
	})
}

// A start that was put off leaves no other out, unless that one could not even be put off as far.
func TestEveryJittersWidely(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), 1000*time.Minute)
		defer stop()
		task := service.Every(service.Periodic{Spacing: time.Minute, Jitter: time.Minute}, func(ctx context.Context) error {
			select {
			case <-time.After(30 * time.Second):
			case <-ctx.Done(): // the bubble ends with the last run
			}
			return nil
		})
		if err := task.Run(ctx); err != nil {
			t.Error(err)
		}
		if s := task.State(); s.Missed > 0 || s.Runs < 997 {
			t.Errorf("%d runs, %d left out", s.Runs, s.Missed)
		}
	})
}

// Whatever a run does, the next one comes, and the state tells.
func TestEveryGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log bytes.Buffer
		sick := errors.New("sick")
		n := 0
		task := service.Every(service.Periodic{Name: "report", Spacing: time.Minute, Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(context.Context) error {
			n++
			<-time.After(time.Second)
			switch n {
			case 1:
				return sick
			case 2:
				panic("at the disco")
			case 3:
				runtime.Goexit()
			}
			return nil
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- task.Run(ctx) }()
		for i, want := range []string{"sick", "panic: at the disco", "Goexit", ""} {
			synctest.Wait()
			if s := task.State(); s.Next.IsZero() || s.Active {
				t.Errorf("before run %d: %+v", i+1, s)
			}
			<-time.After(time.Until(task.State().Next) + time.Millisecond)
			if s := task.State(); !s.Active || s.Runs != i {
				t.Errorf("in run %d: %+v", i+1, s)
			}
			<-time.After(time.Second)
			s := task.State()
			if s.Active || s.Runs != i+1 || s.Took != time.Second || (s.Err == nil) != (want == "") || s.Err != nil && !strings.Contains(s.Err.Error(), want) {
				t.Errorf("after run %d: %+v, want the error %q", i+1, s, want)
			}
		}
		if s := task.State(); s.Failed != 3 || s.Name != "report" {
			t.Errorf("at the end: %+v", s)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		for _, want := range []string{"error=sick", "panic=\"at the disco\"", "every_test.go", "Goexit"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log does not have %s: %s", want, log.String())
			}
		}
	})
}

// A run ends with the service; one that does not is left behind, which is said.
func TestEveryStops(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			run  func(ctx context.Context) error
			took time.Duration
			says string
		}{
			"well":       {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, 0, ""},
			"in a bit":   {func(ctx context.Context) error { <-ctx.Done(); <-time.After(time.Second); return nil }, time.Second, ""},
			"not at all": {func(context.Context) error { <-time.After(time.Hour); return nil }, 5 * time.Second, "left behind"},
		} {
			var log bytes.Buffer
			task := service.Every(service.Periodic{Name: name, Spacing: time.Minute, Immediately: true, Logger: slog.New(slog.NewTextHandler(&log, nil))}, c.run)
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- task.Run(ctx) }()
			synctest.Wait()
			start := time.Now()
			stop()
			if err := <-ended; err != nil || time.Since(start) != c.took {
				t.Errorf("%s: %v after %s, want after %s", name, err, time.Since(start), c.took)
			}
			if got := log.String(); !strings.Contains(got, c.says) || c.says == "" && got != "" {
				t.Errorf("%s: the log says %q", name, got)
			}
		}
		<-time.After(time.Hour) // for the one that was left behind
	})
}

func TestEveryNeedsASpacing(t *testing.T) {
	t.Parallel()
	if err := service.Every(service.Periodic{Name: "x"}, nil).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "task x") {
		t.Errorf("got %v", err)
	}
}
