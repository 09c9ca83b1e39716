package load

import (
	"runtime"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// NewHistogram returns an empty histogram of nanoseconds, up to an hour, with three significant digits: what all of this package's are, and what those
// that are merged with them must be.
func NewHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(leastTime, int64(longestTime), 3)
}

const (
	leastTime   = 100 // ns; what is below is told apart no more
	longestTime = time.Hour
)

// Record adds a time to a histogram; one that is out of its range counts as the nearest that is not.
func Record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(int64(min(max(d, 0), longestTime))) // it is in the range
}

// A recorder collects what callers measure. They share its shards, so that a thousand callers do not need a thousand histograms.
type recorder struct {
	start  time.Time // of the phase
	shards []*shard

	// Of the one who takes samples, and afterwards of result.
	total   *hdrhistogram.Histogram
	lag     *hdrhistogram.Histogram // nil in a closed loop
	errors  map[string]ErrorCount
	last    time.Time // the end of the last operation
	count   int64
	broken  int64
	samples []Sample
	sampled time.Time
}

// A shard is what some of the callers have measured since it was last emptied.
type shard struct {
	mu      sync.Mutex // held for a moment, and over nothing
	latency *hdrhistogram.Histogram
	lag     *hdrhistogram.Histogram
	errors  map[string]ErrorCount
	last    time.Time
}

func newRecorder(p Plan) *recorder {
	r := &recorder{start: time.Now(), total: NewHistogram(), errors: make(map[string]ErrorCount)}
	if p.Rate > 0 {
		r.lag = NewHistogram()
	}
	for range min(p.Callers, 2*runtime.GOMAXPROCS(0)) {
		s := &shard{latency: NewHistogram(), errors: make(map[string]ErrorCount)}
		if p.Rate > 0 {
			s.lag = NewHistogram()
		}
		r.shards = append(r.shards, s)
	}
	return r
}

func (r *recorder) shard(caller int) *shard { return r.shards[caller%len(r.shards)] }

func (r *recorder) done(caller int, due time.Time) {
	s := r.shard(caller)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Now()
	Record(s.latency, s.last.Sub(due))
}

func (r *recorder) failed(caller int, class string, err error) {
	s := r.shard(caller)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Now()
	e, known := s.errors[class]
	if !known {
		e = ErrorCount{Class: class, Example: err}
	}
	e.Count++
	s.errors[class] = e
}

// late is how much later than it was due an operation starts.
func (r *recorder) late(caller int, d time.Duration) {
	s := r.shard(caller)
	s.mu.Lock()
	defer s.mu.Unlock()
	Record(s.lag, d)
}

// sample takes samples until done is closed, and a last one then.
func (r *recorder) sample(done <-chan struct{}, interval time.Duration, progress func(Sample)) {
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	r.sampled = time.Now()
	latest := NewHistogram()
	for {
		ended := false
		select {
		case <-ticks.C:
		case <-done:
			ended = true
		}
		now := time.Now()
		s := r.empty(latest, now)
		if n := len(r.samples); ended && n > 0 && s.Span < interval/2 {
			r.samples[n-1].extend(s) // it is too short to say much by itself
			return
		}
		r.samples = append(r.samples, s)
		if progress != nil {
			progress(s)
		}
		if ended {
			return
		}
	}
}

// empty moves what the shards hold to the totals, and tells what it was.
func (r *recorder) empty(latest *hdrhistogram.Histogram, now time.Time) Sample {
	latest.Reset()
	var failed int64
	for _, s := range r.shards {
		failed += r.emptyShard(s, latest)
	}
	r.total.Merge(latest)
	r.count += latest.TotalCount()
	r.broken += failed
	sample := Sample{
		At: now.Sub(r.start), Span: now.Sub(r.sampled), Operations: latest.TotalCount(), Failed: failed,
		P50: time.Duration(latest.ValueAtPercentile(50)), P99: time.Duration(latest.ValueAtPercentile(99)), Max: time.Duration(latest.Max()),
	}
	r.sampled = now
	return sample
}

func (r *recorder) emptyShard(s *shard, latest *hdrhistogram.Histogram) (failed int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latency.TotalCount() > 0 {
		latest.Merge(s.latency)
		s.latency.Reset()
	}
	if s.lag != nil && s.lag.TotalCount() > 0 {
		r.lag.Merge(s.lag)
		s.lag.Reset()
	}
	for class, e := range s.errors {
		failed += e.Count
		if before, known := r.errors[class]; known {
			e.Count, e.Example = e.Count+before.Count, before.Example
		}
		r.errors[class] = e
	}
	clear(s.errors)
	if s.last.After(r.last) {
		r.last = s.last
	}
	return failed
}
