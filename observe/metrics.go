package observe

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/goslo/goslo/rpc"
)

// Buckets in seconds: from a call on a quiet bus to work of half an hour. The wait in a queue has the same.
func buckets() []float64 { return []float64{.001, .005, .025, .1, .5, 1, 2.5, 10, 30, 60, 300, 1800} }

// Bounds of what peers can make up.
const (
	maxSeries  = 1000 // of a side: triples of topic, method and mode
	maxClasses = 50   // of errors, for each of them
)

// metrics are those of one Observer. A nil one has none.
type metrics struct {
	registry       prometheus.Registerer
	client, server side

	lateReplies, timeouts *prometheus.CounterVec
	wait                  *prometheus.HistogramVec
	redeliveries, skewed  *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		registry: r,
		client:   newSide("client", "Calls, casts and fanouts that were sent, by how they ended."),
		server:   newSide("server", "Calls, casts and fanouts that were served, by how they ended."),
		lateReplies: counter("goslo_client_late_replies_total",
			"Answers to calls that had ended before.", "topic", "method"),
		timeouts: counter("goslo_client_timeouts_total",
			"Calls and casts that ended in a timeout, by how far they had come.", "topic", "method", "phase"),
		wait: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "goslo_server_queue_wait_seconds", Help: "Time from the sending of a request to its start, by the clocks of both.", Buckets: buckets(),
		}, labels()),
		redeliveries: counter("goslo_server_redeliveries_total",
			"Requests that the bus had handed to some server before.", "topic", "method"),
		skewed: counter("goslo_server_clock_skew_total",
			"Requests that came before they were sent, by their sender's clock.", "topic"),
	}
	for _, c := range []prometheus.Collector{
		m.client.requests, m.client.duration, m.client.inFlight, m.server.requests, m.server.duration, m.server.inFlight,
		m.lateReplies, m.timeouts, m.wait, m.redeliveries, m.skewed,
	} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func labels() []string { return []string{"topic", "method", "mode"} }

// A side is that of the callers or that of the servers.
type side struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight *prometheus.GaugeVec

	known *known
}

// known are the series that a side has.
type known struct {
	mu     sync.RWMutex
	series map[key]*series
}

type key struct{ topic, method, mode string }

func newSide(name, help string) side {
	return side{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "goslo_" + name + "_requests_total", Help: help,
		}, append(labels(), "outcome", "error")),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "goslo_" + name + "_request_duration_seconds", Help: "Time that requests took, however they ended.", Buckets: buckets(),
		}, labels()),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "goslo_" + name + "_requests_in_flight", Help: "Requests that have begun and not ended.",
		}, labels()),
		known: &known{series: map[key]*series{}},
	}
}

// A series is what is counted of one method. Looking it up once keeps the cost of a request low. A nil one counts nothing.
type series struct {
	key      key
	side     *side
	inFlight prometheus.Gauge
	duration prometheus.Observer
	wait     prometheus.Observer // of the server's side
	ok       prometheus.Counter

	mu     sync.Mutex
	failed map[failure]prometheus.Counter
}

// of returns the series of a method, or the one that all share who are too many.
func (s *side) of(k key, wait *prometheus.HistogramVec) *series {
	s.known.mu.RLock()
	found := s.known.series[k]
	s.known.mu.RUnlock()
	if found != nil {
		return found
	}
	s.known.mu.Lock()
	defer s.known.mu.Unlock()
	if _, ok := s.known.series[k]; !ok && len(s.known.series) >= maxSeries {
		k.topic, k.method = other, other
	}
	if found = s.known.series[k]; found != nil {
		return found
	}
	found = &series{
		key: k, side: s, failed: map[failure]prometheus.Counter{},
		inFlight: s.inFlight.WithLabelValues(k.topic, k.method, k.mode),
		duration: s.duration.WithLabelValues(k.topic, k.method, k.mode),
		ok:       s.requests.WithLabelValues(k.topic, k.method, k.mode, outcomeOK, ""),
	}
	if wait != nil {
		found.wait = wait.WithLabelValues(k.topic, k.method, k.mode)
	}
	s.known.series[k] = found
	return found
}

func (s *series) begin() {
	if s != nil {
		s.inFlight.Inc()
	}
}

func (s *series) end(after time.Duration, f failure) {
	if s == nil {
		return
	}
	s.inFlight.Dec()
	s.duration.Observe(after.Seconds())
	if f.outcome == outcomeOK {
		s.ok.Inc()
		return
	}
	s.failures(f).Inc()
}

func (s *series) failures(f failure) prometheus.Counter {
	f.phase = ""
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.failed[f]; !ok && len(s.failed) >= maxClasses {
		f.class = other
	}
	c, ok := s.failed[f]
	if !ok {
		c = s.side.requests.WithLabelValues(s.key.topic, s.key.method, s.key.mode, f.outcome, f.class)
		s.failed[f] = c
	}
	return c
}

// sends is the series of a request that leaves.
func (m *metrics) sends(r *rpc.Request) *series {
	if m == nil {
		return nil
	}
	return m.client.of(key{r.Target.Topic, r.Method, r.Mode.String()}, nil)
}

// serves is the series of a request that has come.
func (m *metrics) serves(r *rpc.Request) *series {
	if m == nil {
		return nil
	}
	method := r.Method
	if !r.Known {
		method = other
	}
	return m.server.of(key{r.Target.Topic, method, r.Mode.String()}, m.wait)
}

// arrived counts what is known of a request's way here.
func (m *metrics) arrived(s *series, r *rpc.Request, wait time.Duration, known bool) {
	if m == nil {
		return
	}
	if known {
		s.wait.Observe(max(wait, 0).Seconds())
	}
	if wait < 0 {
		m.skewed.WithLabelValues(s.key.topic).Inc()
	}
	if r.Redelivered {
		m.redeliveries.WithLabelValues(s.key.topic, s.key.method).Inc()
	}
}

// timedOut counts how far a request had come that ended in a timeout.
func (m *metrics) timedOut(s *series, f failure) {
	if m != nil && f.phase != "" {
		m.timeouts.WithLabelValues(s.key.topic, s.key.method, f.phase).Inc()
	}
}

// late counts an answer that nobody waits for any more, under the labels of its call.
func (m *metrics) late(l rpc.LateReply) {
	s := m.client.of(key{l.Topic, l.Method, rpc.ByCall.String()}, nil)
	m.lateReplies.WithLabelValues(s.key.topic, s.key.method).Inc()
}
