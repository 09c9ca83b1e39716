package load_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/goslo/goslo/internal/load"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func Example() {
	result, err := load.Run(context.Background(), load.Plan{Callers: 2, Count: 10}, func(context.Context, load.Turn) error {
		return nil // call somebody
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Operations, result.Failed)
	// Output: 10 0
}

// run runs a plan that is right, in a bubble where time is that of sleeps alone.
func run(t *testing.T, p load.Plan, op load.Op) *load.Result {
	t.Helper()
	if p.Interval == 0 {
		p.Interval = time.Minute // samples take their time with the race detector
	}
	r, err := load.Run(t.Context(), p, op)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A bus takes a millisecond for each operation, and stalls once.
type bus struct{ stall, until time.Time }

func (b *bus) op(ctx context.Context, _ load.Turn) error {
	d := time.Millisecond
	if now := time.Now(); now.After(b.stall) && now.Before(b.until) {
		d = b.until.Sub(now)
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func stalling(after, length time.Duration) *bus {
	stall := time.Now().Add(after)
	return &bus{stall, stall.Add(length)}
}

func percentile(r *load.Result, p float64) time.Duration {
	return time.Duration(r.Latency.ValueAtPercentile(p)).Round(time.Millisecond)
}

// At a rate, a stall is a fifth of all latencies, as it was a fifth of the time; in a closed loop only those that it met know of it.
func TestAStallShowsInPercentilesOfARate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := run(t, load.Plan{Callers: 4, Rate: 100, Duration: 10 * time.Second}, stalling(4*time.Second, 2*time.Second).op)
		if r.Operations != 1000 || r.Failed != 0 {
			t.Errorf("%d operations and %d failures, want 1000 and 0", r.Operations, r.Failed)
		}
		if p := percentile(r, 50); p > 2*time.Millisecond {
			t.Errorf("p50 %v", p)
		}
		// From 80 % on latencies grow evenly up to two seconds.
		if p := percentile(r, 90); p < 900*time.Millisecond || p > 1100*time.Millisecond {
			t.Errorf("p90 %v, want about 1 s", p)
		}
		if p := percentile(r, 100); p < 1900*time.Millisecond || p > 2100*time.Millisecond {
			t.Errorf("max %v, want about 2 s", p)
		}
		if lag := time.Duration(r.Lag.Max()); lag < 1800*time.Millisecond {
			t.Errorf("operations started %v late at the most", lag)
		}
		closed := run(t, load.Plan{Callers: 4, Pause: 9 * time.Millisecond, Duration: 10 * time.Second}, stalling(4*time.Second, 2*time.Second).op)
		if p := percentile(closed, 99); p > 2*time.Millisecond {
			t.Errorf("p99 %v in a closed loop", p)
		}
		if closed.Lag != nil {
			t.Error("a closed loop has a lag")
		}
	})
}

func TestAStallAtTheEndIsNotLeftOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := load.Plan{Callers: 2, Rate: 100, Duration: 2 * time.Second, Timeout: 3 * time.Second, Class: func(err error) string {
			if errors.Is(err, load.ErrNotStarted) {
				return "not started"
			}
			return err.Error()
		}}
		b := stalling(time.Second, 3500*time.Millisecond)
		r := run(t, p, func(_ context.Context, turn load.Turn) error { return b.op(context.Background(), turn) })
		if len(r.Errors) != 1 || r.Errors[0].Class != "not started" || r.Operations+r.Failed != 200 {
			t.Fatalf("%d operations, errors %v; want 200 in all", r.Operations, r.Errors)
		}
		// Those two that met the stall came back after 3.5 s, when the time of all was up that had been due in half a second.
		if n := r.Failed; n < 45 || n > 52 {
			t.Errorf("%d operations were not started, want about 49", n)
		}
		if p := percentile(r, 100); p < 3400*time.Millisecond || p > 3600*time.Millisecond {
			t.Errorf("max %v, want 3.5 s", p)
		}
		if p := percentile(r, 70); p < 2*time.Second {
			t.Errorf("p70 %v", p)
		}
	})
}

func TestARateIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		var due []time.Duration
		r := run(t, load.Plan{Callers: 3, Rate: 10, Count: 5}, func(_ context.Context, turn load.Turn) error {
			mu.Lock()
			defer mu.Unlock()
			due = append(due, turn.Due.Sub(start))
			return nil
		})
		const step = 100 * time.Millisecond
		if diff := cmp.Diff([]time.Duration{0, step, 2 * step, 3 * step, 4 * step}, due); diff != "" {
			t.Error(diff)
		}
		if r.Elapsed != 4*step || r.Operations != 5 {
			t.Errorf("%d operations in %v", r.Operations, r.Elapsed)
		}
	})
}

func TestTheWarmUpIsNotMeasured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var warm, measured, running atomic.Int64
		begun := false
		plan := load.Plan{Callers: 4, Warmup: time.Second, Duration: 2 * time.Second, Interval: 200 * time.Millisecond, Begin: func(context.Context) error {
			if n := running.Load(); n != 0 || warm.Load() != 400 {
				t.Errorf("%d operations ran at the beginning, after %d", n, warm.Load())
			}
			begun = true
			return nil
		}}
		r := run(t, plan, func(_ context.Context, turn load.Turn) error {
			running.Add(1)
			defer running.Add(-1)
			<-time.After(10 * time.Millisecond)
			if turn.Measured {
				measured.Add(1)
			} else {
				warm.Add(1)
			}
			return nil
		})
		if !begun || r.Operations != 800 || measured.Load() != 800 {
			t.Errorf("begun %v, %d operations of %d", begun, r.Operations, measured.Load())
		}
		if rate := r.Rate(); math.Abs(rate-400) > 1 {
			t.Errorf("rate %v, want 400", rate)
		}
		if n := len(r.Samples); n < 9 || n > 11 {
			t.Errorf("%d samples, want 10", n)
		}
		var sum int64
		for _, s := range r.Samples {
			sum += s.Operations
		}
		if sum != 800 {
			t.Errorf("samples add up to %d", sum)
		}
	})
}

func TestCallersPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := run(t, load.Plan{Callers: 2, Pause: time.Second, Duration: 10 * time.Second}, func(context.Context, load.Turn) error { return nil })
		if r.Operations != 20 {
			t.Errorf("%d operations, want 20", r.Operations)
		}
	})
}

func TestErrorsAreCountedByClass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		r := run(t, load.Plan{Count: 100, Class: func(err error) string { return strings.Fields(err.Error())[0] }}, func(context.Context, load.Turn) error {
			<-time.After(time.Millisecond)
			switch i := n.Add(1); {
			case i%10 == 0:
				return fmt.Errorf("rare %d", i)
			case i%2 == 0:
				return fmt.Errorf("often %d", i)
			}
			return nil
		})
		var got []string
		for _, e := range r.Errors {
			got = append(got, fmt.Sprintf("%d %s: %v", e.Count, e.Class, e.Example))
		}
		if diff := cmp.Diff([]string{"40 often: often 2", "10 rare: rare 10"}, got); diff != "" {
			t.Error(diff)
		}
		if r.Operations != 50 || r.Failed != 50 || r.Latency.TotalCount() != 50 {
			t.Errorf("%d operations, %d failures, %d latencies", r.Operations, r.Failed, r.Latency.TotalCount())
		}
	})
}

func TestAnInterruptedRunHasItsResultSoFar(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{0, 10} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
			defer cancel()
			r, err := load.Run(ctx, load.Plan{Rate: rate, Duration: time.Minute}, func(ctx context.Context, _ load.Turn) error {
				select {
				case <-time.After(time.Second):
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if !r.Interrupted || r.Operations != 3 || r.Failed != 0 || r.Elapsed != 3*time.Second {
				t.Errorf("rate %v: interrupted %v, %d operations, %d failures, in %v", rate, r.Interrupted, r.Operations, r.Failed, r.Elapsed)
			}
		})
	}
}

func TestPlansThatCannotBeCarriedOut(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]load.Plan{
		"endless":          {},
		"negative":         {Count: 1, Warmup: -1},
		"pause and a rate": {Count: 1, Rate: 1, Pause: 1},
		"absurd":           {Count: 1, Rate: 1e12},
		"no rate":          {Count: 1, Rate: math.NaN()},
	} {
		if _, err := load.Run(t.Context(), p, nil); err == nil || !strings.HasPrefix(err.Error(), "load: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	failure := errors.New("no")
	_, err := load.Run(t.Context(), load.Plan{Count: 1, Begin: func(context.Context) error { return failure }}, nil)
	if !errors.Is(err, failure) {
		t.Errorf("error %v of Begin", err)
	}
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	h := load.NewHistogram()
	if got := load.Buckets(h); got != nil {
		t.Errorf("buckets of nothing: %v", got)
	}
	const ms = time.Millisecond
	for _, d := range []time.Duration{3 * ms, 4 * ms, 4 * ms, 30 * ms} {
		load.Record(h, d)
	}
	load.Record(h, 2*time.Hour)
	got := load.Buckets(h)
	want := []load.Bucket{{2 * ms, 5 * ms, 3}, {5 * ms, 10 * ms, 0}, {10 * ms, 20 * ms, 0}, {20 * ms, 50 * ms, 1}}
	if diff := cmp.Diff(want, got[:4]); diff != "" {
		t.Error(diff)
	}
	if last := got[len(got)-1]; last.Count != 1 || last.From > time.Hour || last.To < time.Hour {
		t.Errorf("what is longer than an hour is in %+v", last)
	}
}
