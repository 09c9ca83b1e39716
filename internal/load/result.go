package load

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Result is what was measured.
type Result struct {
	Operations int64        // that succeeded
	Failed     int64        // that did not
	Errors     []ErrorCount // of those that did not, by class, the most frequent first
	// Elapsed is from the first operation's start to the last one's end; of a run that nothing ended in, how long it went on.
	Elapsed time.Duration
	// Latency is in nanoseconds, of the operations that succeeded: from when each was due. See [NewHistogram].
	Latency *hdrhistogram.Histogram
	// Lag is how much later than they were due operations started, in nanoseconds: because no caller was free, or the machine had no time for one that
	// was. It is part of their latency. nil = in a closed loop nothing is due.
	Lag         *hdrhistogram.Histogram
	Samples     []Sample // of each interval, by time
	Interrupted bool     // ctx ended before the plan was done
}

// An ErrorCount is how many operations failed in one way.
type ErrorCount struct {
	Class   string
	Count   int64
	Example error // the first
}

// A Sample is what happened in one interval.
type Sample struct {
	At            time.Duration // its end, from the start
	Span          time.Duration // how long it was
	Operations    int64         // that ended well
	Failed        int64
	P50, P99, Max time.Duration // of the former
}

// extend adds what came right after it. The percentiles stay those of most of it.
func (s *Sample) extend(next Sample) {
	s.At = next.At
	s.Span += next.Span
	s.Operations += next.Operations
	s.Failed += next.Failed
	s.Max = max(s.Max, next.Max)
}

// Rate is operations in a second.
func (s *Sample) Rate() float64 { return float64(s.Operations) / s.Span.Seconds() }

// Rate is operations that succeeded, in a second.
func (r *Result) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Operations) / r.Elapsed.Seconds()
}

func (r *recorder) result(interrupted bool) *Result {
	end := r.last
	if end.IsZero() {
		end = r.sampled
	}
	return &Result{
		Operations: r.count, Failed: r.broken, Elapsed: end.Sub(r.start), Latency: r.total, Lag: r.lag, Samples: r.samples, Interrupted: interrupted,
		Errors: slices.SortedFunc(maps.Values(r.errors), func(a, b ErrorCount) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Class, b.Class))
		}),
	}
}

// A Bucket is how many operations took so long.
type Bucket struct {
	From, To time.Duration
	Count    int64
}

// Buckets is a histogram in steps of 1, 2 and 5 times a power of ten, without the empty ones at both ends.
func Buckets(h *hdrhistogram.Histogram) []Bucket {
	if h.TotalCount() == 0 {
		return nil
	}
	counts := make(map[time.Duration]int64)
	for _, bar := range h.Distribution() {
		counts[stepAbove(time.Duration(bar.From))] += bar.Count
	}
	var all []Bucket
	for below, step := time.Duration(0), time.Duration(1); len(counts) > 0; below, step = step, stepAbove(step) {
		n, some := counts[step]
		if some && n > 0 || len(all) > 0 {
			all = append(all, Bucket{From: below, To: step, Count: n})
		}
		delete(counts, step)
	}
	for all[len(all)-1].Count == 0 {
		all = all[:len(all)-1]
	}
	return all
}

// stepAbove is the least of 1, 2 or 5 times a power of ten nanoseconds that is greater than d.
func stepAbove(d time.Duration) time.Duration {
	for power := int64(1); ; power *= 10 {
		for _, f := range []int64{1, 2, 5} {
			if step := time.Duration(f * power); step > d {
				return step
			}
		}
	}
}
