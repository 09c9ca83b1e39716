package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/goslo/goslo/internal/bench"
	"github.com/goslo/goslo/internal/chart"
	"github.com/goslo/goslo/internal/load"
	"github.com/goslo/goslo/internal/operator"
)

// benchResult is the result of a command that makes load, in JSON. What is not known is left out.
type benchResult struct {
	Operation   bench.Kind    `json:"operation"`
	Bus         string        `json:"bus"`
	Topic       string        `json:"topic"`
	Load        benchLoad     `json:"load"`
	Operations  int64         `json:"operations"` // that succeeded
	Failed      int64         `json:"failed"`
	Errors      []benchError  `json:"errors,omitempty"`
	ElapsedMS   float64       `json:"elapsed_ms"`
	Rate        float64       `json:"rate"` // of those that succeeded, a second
	Latency     *benchTimes   `json:"latency_ms,omitempty"`
	Lag         *benchTimes   `json:"lag_ms,omitempty"` // how late operations started, at a rate
	Delivery    *benchArrived `json:"delivery,omitempty"`
	Callers     benchSide     `json:"callers"`
	Servers     *benchServing `json:"servers,omitempty"`
	Interrupted bool          `json:"interrupted"`
	benchCourse
}

// benchCourse is what charts are made of.
type benchCourse struct {
	Histogram []benchBucket `json:"histogram"`
	Samples   []benchSample `json:"samples"`
}

// benchLoad says what the load was.
type benchLoad struct {
	Callers     int     `json:"callers"`
	Rate        float64 `json:"rate,omitempty"` // due; 0 = a closed loop
	DurationMS  float64 `json:"duration_ms,omitempty"`
	Count       int64   `json:"count,omitempty"`
	WarmupMS    float64 `json:"warmup_ms"`
	PauseMS     float64 `json:"pause_ms,omitempty"`
	TimeoutMS   float64 `json:"timeout_ms"`
	Size        float64 `json:"size,omitempty"` // in bytes, on average
	ContextKeys int     `json:"context_keys"`
	Method      string  `json:"method,omitempty"`
}

type benchError struct {
	Class   string `json:"class"`
	Count   int64  `json:"count"`
	Example string `json:"example"`
}

// benchTimes are percentiles, in milliseconds.
type benchTimes struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
	Max  float64 `json:"max"`
}

// benchArrived is what servers say of what they received.
type benchArrived struct {
	Expected  int64       `json:"expected"`
	Received  int64       `json:"received"`
	ElapsedMS float64     `json:"elapsed_ms"` // until the last was
	Delay     *benchTimes `json:"delay_ms,omitempty"`
}

// benchSide is what one side spent.
type benchSide struct {
	CPUMS         *float64 `json:"cpu_ms,omitempty"`
	CPUEach       *float64 `json:"cpu_us_per_operation,omitempty"`
	Peak          *int64   `json:"peak_memory_bytes,omitempty"`
	RSS           *int64   `json:"memory_bytes,omitempty"`
	Switches      *int64   `json:"context_switches,omitempty"`
	Objects       int64    `json:"allocations"`
	Bytes         int64    `json:"allocated_bytes"`
	Goroutines    int      `json:"goroutines"`
	Sent          *int64   `json:"sent_bytes,omitempty"`
	Received      *int64   `json:"received_bytes,omitempty"`
	BytesNotKnown string   `json:"bytes_not_known,omitempty"` // why
	HostsBus      bool     `json:"hosts_bus,omitempty"`
}

// benchServing are the servers.
type benchServing struct {
	Where    string     `json:"where"`
	Names    []string   `json:"names,omitempty"`
	Machines []string   `json:"machines,omitempty"`
	PIDs     []int      `json:"pids,omitempty"`
	Spent    *benchSide `json:"spent,omitempty"`     // left out where they are in the callers' process
	Unknown  string     `json:"not_known,omitempty"` // why
}

type benchBucket struct {
	FromMS float64 `json:"from_ms"`
	ToMS   float64 `json:"to_ms"`
	Count  int64   `json:"count"`
}

type benchSample struct {
	AtMS   float64 `json:"at_ms"`
	SpanMS float64 `json:"span_ms"`
	Rate   float64 `json:"rate"`
	Failed int64   `json:"failed"`
	P50    float64 `json:"p50_ms"`
	P99    float64 `json:"p99_ms"`
	Max    float64 `json:"max_ms"`
}

func timesJSON(h *hdrhistogram.Histogram) *benchTimes {
	if h == nil || h.TotalCount() == 0 {
		return nil
	}
	at := func(p float64) float64 { return milliseconds(time.Duration(h.ValueAtPercentile(p))) }
	return &benchTimes{milliseconds(time.Duration(h.Mean())), at(50), at(90), at(99), at(99.9), at(100)}
}

// sideJSON is what one side spent on so many operations.
func sideJSON(s bench.Side, operations int64) benchSide {
	j := benchSide{Objects: s.Usage.Objects, Bytes: s.Usage.Bytes, Goroutines: s.Usage.Routines, HostsBus: s.Hosting}
	if s.Usage.CPU != load.Unknown {
		j.CPUMS = new(milliseconds(s.Usage.CPU))
		j.Switches = new(s.Usage.Switches)
		if operations > 0 {
			j.CPUEach = new(float64(s.Usage.CPU) / float64(time.Microsecond) / float64(operations))
		}
	}
	if s.Usage.RSS != load.Unknown {
		j.RSS, j.Peak = new(s.Usage.RSS), new(s.Usage.Peak)
	}
	if s.Untold == nil {
		j.Sent, j.Received = new(s.Carried.Sent), new(s.Carried.Received)
	} else {
		j.BytesNotKnown = s.Untold.Error()
	}
	return j
}

func (b *benchRun) result(r *bench.Run) benchResult {
	p := b.flags.plan
	j := benchResult{
		Operation: b.config.Kind, Bus: b.app.bus.String(), Topic: b.config.Topic,
		Load: benchLoad{
			Callers: p.Callers, Rate: p.Rate, DurationMS: milliseconds(p.Duration), Count: p.Count, WarmupMS: milliseconds(p.Warmup),
			PauseMS: milliseconds(p.Pause), TimeoutMS: milliseconds(p.Timeout), ContextKeys: b.flags.keys, Method: b.flags.method,
		},
		Operations: r.Operations, Failed: r.Failed, ElapsedMS: milliseconds(r.Elapsed), Rate: r.Rate(), Interrupted: r.Interrupted,
		Latency: timesJSON(r.Latency), Lag: timesJSON(r.Lag), Callers: sideJSON(r.Callers, r.Operations),
		Servers: &benchServing{Where: b.where, Names: b.names},
	}
	if b.config.Cargo != nil {
		j.Load.Size = b.config.Cargo.Mean()
	}
	for _, e := range r.Errors {
		j.Errors = append(j.Errors, benchError{e.Class, e.Count, e.Example.Error()})
	}
	if r.Servers != nil {
		j.Servers.Machines, j.Servers.PIDs = r.Servers.Machines, r.Servers.PIDs
		j.Delivery = &benchArrived{r.Expected, r.Received, milliseconds(r.Took), timesJSON(r.Delay)}
		if !r.Same {
			j.Servers.Spent = new(sideJSON(*r.Servers, r.Operations))
		}
	}
	if why := b.serversUnknown(r); why != nil {
		j.Servers.Unknown = why.Error()
	}
	for _, bucket := range load.Buckets(r.Latency) {
		j.Histogram = append(j.Histogram, benchBucket{milliseconds(bucket.From), milliseconds(bucket.To), bucket.Count})
	}
	for _, s := range r.Samples {
		j.Samples = append(j.Samples, benchSample{milliseconds(s.At), milliseconds(s.Span), s.Rate(), s.Failed, milliseconds(s.P50), milliseconds(s.P99), milliseconds(s.Max)})
	}
	return j
}

// serversUnknown is why nothing is known of the servers; nil = something is.
func (b *benchRun) serversUnknown(r *bench.Run) error {
	if b.config.Request != nil {
		return errors.New("the servers are not goslo bench server's, and tell nothing")
	}
	return r.Lost
}

// print prints the result.
func (b *benchRun) print(r *bench.Run) error {
	if b.json {
		return b.printLine(b.result(r))
	}
	on := b.screen()
	_, err := fmt.Fprint(b.Out, b.heading()+b.summary(r)+"\n"+b.spent(r).text(on)+b.remarks(r)+b.distribution(r, on)+b.course(r, on))
	return err
}

func (b *benchRun) heading() string {
	return fmt.Sprintf("bench %s on %s\n  load     %s\n  servers  %s\n\n", b.config.Kind, plain(b.app.bus.String()), plain(b.loadText()), plain(b.serversText()))
}

// summary is the figures that people look for first.
func (b *benchRun) summary(r *bench.Run) string {
	var s strings.Builder
	ops := b.operation() + "s"
	fmt.Fprintf(&s, "throughput  %s %s/s: %s in %s\n", chart.Number(r.Rate()), ops, chart.Number(float64(r.Operations)), shown(r.Elapsed))
	fmt.Fprintf(&s, "latency     %s\n", percentiles(r.Latency))
	if r.Lag != nil {
		fmt.Fprintf(&s, "of it, from when it was due to the start: %s\n", percentiles(r.Lag))
	}
	if r.Servers != nil && b.config.Kind != bench.Call {
		rate := 0.0
		if r.Took > 0 {
			rate = float64(r.Received) / r.Took.Seconds()
		}
		fmt.Fprintf(&s, "received    %s of %s, %s/s\n", chart.Number(float64(r.Received)), chart.Number(float64(r.Expected)), chart.Number(rate))
		fmt.Fprintf(&s, "delay       %s\n", percentiles(r.Delay))
	}
	fmt.Fprintf(&s, "errors      %s\n", chart.Number(float64(r.Failed)))
	for _, e := range r.Errors {
		fmt.Fprintf(&s, "  %s  %s: %s\n", chart.Number(float64(e.Count)), e.Class, plain(strings.ReplaceAll(e.Example.Error(), "\n", " ")))
	}
	if r.Interrupted {
		s.WriteString("interrupted: this is what was measured until then\n")
	}
	return s.String()
}

func percentiles(h *hdrhistogram.Histogram) string {
	if h == nil || h.TotalCount() == 0 {
		return "none"
	}
	at := func(p float64) string { return precise(time.Duration(h.ValueAtPercentile(p))) }
	return fmt.Sprintf("p50 %s  p90 %s  p99 %s  p99.9 %s  max %s", at(50), at(90), at(99), at(99.9), at(100))
}

// precise is a time with three digits.
func precise(d time.Duration) string {
	for _, u := range []struct {
		of   time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "us"}} {
		if d >= u.of {
			return chart.Number(float64(d)/float64(u.of)) + " " + u.name
		}
	}
	return fmt.Sprintf("%d ns", d)
}

// spent is what both sides spent.
func (b *benchRun) spent(r *bench.Run) *table {
	each := "/" + strings.ToUpper(b.operation())
	t := newTable("", "CPU", "CPU"+each, "MEMORY", "ALLOCATIONS"+each, "SENT"+each, "RECEIVED"+each)
	who := "callers"
	if r.Same {
		who = "callers and servers"
	}
	t.row(sideCells(who, r.Callers, r.Operations)...)
	switch {
	case r.Servers != nil && !r.Same:
		t.row(sideCells("servers", *r.Servers, r.Operations)...)
	case r.Servers == nil:
		t.row("servers", "not known")
	}
	return t
}

func sideCells(who string, s bench.Side, operations int64) []string {
	n := float64(max(operations, 1))
	sent, got := "not known", "not known"
	if s.Untold == nil {
		sent, got = chart.Number(float64(s.Carried.Sent)/n)+" B", chart.Number(float64(s.Carried.Received)/n)+" B"
	}
	return []string{who, cpu(s.Usage.CPU), cpuEach(s.Usage.CPU, operations), memory(s.Usage.Peak), chart.Number(float64(s.Usage.Objects) / n), sent, got}
}

func cpu(d time.Duration) string {
	if d == load.Unknown {
		return "not known"
	}
	return precise(d)
}

func cpuEach(d time.Duration, n int64) string {
	if d == load.Unknown || n == 0 {
		return "not known"
	}
	return precise(d / time.Duration(n))
}

func memory(bytes int64) string {
	if bytes == load.Unknown {
		return "not known"
	}
	return size(operator.Count(bytes))
}

// remarks say what one has to know to read the table.
func (b *benchRun) remarks(r *bench.Run) string {
	var s strings.Builder
	s.WriteString("memory is the most that the processes have had; bytes are those that TCP carries\n")
	if why := b.serversUnknown(r); why != nil {
		fmt.Fprintf(&s, "of the servers nothing is known: %s\n", plain(why.Error()))
	}
	if r.Callers.Untold != nil {
		fmt.Fprintf(&s, "callers: %s\n", strings.TrimPrefix(r.Callers.Untold.Error(), "load: "))
	}
	if r.Servers != nil && r.Servers.Untold != nil && !r.Same {
		fmt.Fprintf(&s, "servers: %s\n", strings.TrimPrefix(r.Servers.Untold.Error(), "load: "))
	}
	switch {
	case r.Callers.Hosting:
		s.WriteString("the callers' process hosts the bus: its CPU time and memory are in theirs\n")
	case r.Servers != nil && r.Servers.Hosting:
		s.WriteString("the servers' process hosts the bus: its CPU time and memory are in theirs\n")
	}
	return s.String()
}

// distribution is the histogram of latencies.
func (b *benchRun) distribution(r *bench.Run, on screen) string {
	buckets := load.Buckets(r.Latency)
	if len(buckets) == 0 {
		return ""
	}
	rows := make([]chart.Row, 0, len(buckets))
	for _, bucket := range buckets {
		share := 100 * float64(bucket.Count) / float64(r.Operations)
		rows = append(rows, chart.Row{
			Name: "up to " + precise(bucket.To), Value: float64(bucket.Count),
			Text: fmt.Sprintf("%s  %s %%", chart.Number(float64(bucket.Count)), chart.Number(share)),
		})
	}
	return "\nlatencies\n" + chart.Terminal(rows, on.width)
}

// course is the rate over time.
func (b *benchRun) course(r *bench.Run, on screen) string {
	if len(r.Samples) < 2 {
		return ""
	}
	rates := make([]float64, len(r.Samples))
	least, most := r.Samples[0].Rate(), 0.0
	for i, s := range r.Samples {
		rates[i] = s.Rate()
		least, most = min(least, rates[i]), max(most, rates[i])
	}
	label := fmt.Sprintf("%s to %s %ss/s", chart.Number(least), chart.Number(most), b.operation())
	return fmt.Sprintf("\nover time  %s  %s\n", chart.Sparkline(rates, on.width-len(label)-14), label)
}
