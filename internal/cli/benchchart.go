package cli

import (
	"fmt"
	"io"
	"math"
	"time"

	"github.com/goslo/goslo/internal/bench"
	"github.com/goslo/goslo/internal/chart"
	"github.com/goslo/goslo/internal/load"
)

// draw writes the result as SVG: what was reached over time, latencies by percentile, and how they are distributed.
func (b *benchRun) draw(w io.Writer, r *bench.Run) error {
	ops := b.operation() + "s"
	var rates, p50, p99 chart.Line
	p50.Name, p99.Name = "p50", "p99"
	for i, s := range r.Samples {
		at := s.At.Seconds()
		rates.Points = append(rates.Points, chart.Point{X: max((s.At - s.Span).Seconds(), 0), Y: s.Rate()})
		if i == len(r.Samples)-1 {
			rates.Points = append(rates.Points, chart.Point{X: at, Y: s.Rate()})
		}
		if s.Operations > 0 {
			p50.Points = append(p50.Points, chart.Point{X: at, Y: inMilliseconds(s.P50)})
			p99.Points = append(p99.Points, chart.Point{X: at, Y: inMilliseconds(s.P99)})
		}
	}
	figures := []chart.Figure{chart.Lines{
		Title: fmt.Sprintf("goslo bench %s on %s: %s %s/s", b.config.Kind, scheme(b.app.bus.url), chart.Number(r.Rate()), ops),
		X:     chart.Axis{Name: "seconds"}, Y: chart.Axis{Name: ops + "/s; " + b.loadText()}, Lines: []chart.Line{rates}, Steps: true,
	}}
	if r.Operations > 0 {
		figures = append(figures,
			chart.Lines{Title: "Latency over time", X: chart.Axis{Name: "seconds"}, Y: chart.Axis{Name: "ms", Log: true}, Lines: []chart.Line{p50, p99}},
			latencyByPercentile(r), latencyBars(r))
	}
	return chart.Write(w, figures...)
}

func inMilliseconds(d time.Duration) float64 {
	return max(float64(d), 1) / float64(time.Millisecond) // a logarithm has no place for zero
}

// latencyByPercentile has the last per cent as long as all before, and so on: there it is where services are slow.
func latencyByPercentile(r *bench.Run) chart.Figure {
	l := chart.Lines{Title: "Latency by percentile", Y: chart.Axis{Name: "ms", Log: true}, X: chart.Axis{Name: "percentile", Log: true}}
	var line chart.Line
	for nines := 0.0; ; nines += 0.1 {
		rest := math.Pow(10, nines) // one in so many takes longer
		if rest > float64(r.Operations)*1.001 && nines > 0 {
			break
		}
		line.Points = append(line.Points, chart.Point{X: rest, Y: inMilliseconds(time.Duration(r.Latency.ValueAtPercentile(100 * (1 - 1/rest))))})
	}
	for _, t := range []chart.Tick{{At: 1, Text: "0 %"}, {At: 2, Text: "50 %"}, {At: 10, Text: "90 %"}, {At: 100, Text: "99 %"}, {At: 1e3, Text: "99.9 %"}, {At: 1e4, Text: "99.99 %"}, {At: 1e5, Text: "99.999 %"}} {
		if t.At <= float64(r.Operations) {
			l.X.Ticks = append(l.X.Ticks, t)
		}
	}
	l.Lines = []chart.Line{line}
	return l
}

func latencyBars(r *bench.Run) chart.Figure {
	buckets := load.Buckets(r.Latency)
	names, shares := make([]string, len(buckets)), make([]float64, len(buckets))
	for i, bucket := range buckets {
		names[i] = "< " + precise(bucket.To)
		shares[i] = 100 * float64(bucket.Count) / float64(r.Operations)
	}
	return chart.Bars{Title: "Latencies", Unit: "% of all", Groups: names, Series: []chart.Series{{Name: "latency", Values: shares}}}
}
