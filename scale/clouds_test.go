package scale_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/goslo/goslo/internal/chart"
)

// cloudFigures are what runCloud measures.
type cloudFigures struct {
	cloud
	Starting, Rebuilding, Fanout time.Duration
	Start                        holdings // after the start, less what was there before
	StartCPU, StartBroker        time.Duration
	Rested, Worked               time.Duration
	RestCPU, RestBroker          time.Duration
	WorkCPU, WorkBroker          time.Duration
	PSS                          int64
	Goroutines                   int
	Calls, Casts, Failed         int
	Latencies                    []float64 // seconds, sorted
}

func (f cloudFigures) rate() float64 { return float64(f.Calls) / f.Worked.Seconds() }

func (f cloudFigures) quantile(q float64) time.Duration {
	if len(f.Latencies) == 0 {
		return 0
	}
	return time.Duration(f.Latencies[int(q*float64(len(f.Latencies)-1))] * float64(time.Second))
}

// reportClouds writes the tables.
func reportClouds(p *page, duties []duty, all []cloudFigures) {
	calls, fanouts := perMinute(duties)
	p.say("Each host: %.1f calls and %.1f fanouts a minute, as a nova-compute makes (below), and a call to it once a minute. The conductor and two schedulers are ours in all rows, in a process that is not counted. \"At rest\" is before the hosts' periodic work: only heartbeats and checks.", calls, fanouts)
	var starts, loads, holds [][]string
	for _, f := range all {
		n := int64(f.Hosts)
		starts = append(starts, []string{
			f.Name, count(f.Hosts), seconds(f.Starting), count(f.Start.Declared), fmt.Sprintf("%.0f", float64(f.Start.Declared)/f.Starting.Seconds()),
			millis(f.StartCPU / time.Duration(n)), millis(f.StartBroker / time.Duration(n)), seconds(f.Rebuilding), millis(f.Fanout),
		})
		holds = append(holds, []string{
			f.Name, count(f.Hosts), count(f.Start.Connections), count(f.Start.Channels), count(f.Start.Queues), count(f.Start.Consumers), count(f.Start.Bindings),
			mib(f.Start.Memory), kib(f.Start.Memory / n), mib(f.PSS), kib(f.PSS / n), fmt.Sprintf("%.1f", float64(f.Goroutines)/float64(n)),
		})
		loads = append(loads, []string{
			f.Name, count(f.Hosts), fmt.Sprintf("%.1f", f.rate()), fmt.Sprintf("%d of %d", f.Failed, f.Calls+f.Casts+f.Failed), millis(f.quantile(0.5)), millis(f.quantile(0.99)),
			permille(f.RestCPU, f.Rested), permille(f.RestBroker, f.Rested), permille(f.WorkCPU, f.Worked), permille(f.WorkBroker, f.Worked),
		})
	}
	p.say("\nStarting, all hosts at once; then the broker closes every connection, and all come back at once; then one fanout to all of them:")
	p.table([]string{"hosts", "", "all serve after", "queue.declare", "per second", "our CPU per host", "broker's CPU per host", "all back after", "fanout to the last after"}, starts)
	p.say("What they hold on the broker, less what was there before, and what they take themselves (PSS: pages of several processes are shared out):")
	p.table([]string{"hosts", "", "connections", "channels", "queues", "consumers", "bindings", "broker's memory", "per host", "hosts' memory", "per host", "goroutines per host"}, holds)
	p.say("At work. CPU is in thousandths of one core:")
	p.table([]string{"hosts", "", "calls/s", "failed", "median", "p99", "at rest: hosts' CPU", "broker's CPU", "at work: hosts' CPU", "broker's CPU"}, loads)
	slopes(p, all)
}

// permille is how much of a core was used, in thousandths.
func permille(cpu, over time.Duration) string {
	return fmt.Sprintf("%.0f", 1000*cpu.Seconds()/over.Seconds())
}

// slopes writes what one more host costs, by least squares over the sizes measured.
func slopes(p *page, measured []cloudFigures) {
	grown := map[string][]cloudFigures{}
	for _, f := range measured {
		grown[f.Name] = append(grown[f.Name], f)
	}
	measures := []struct {
		name   string
		format string
		of     func(cloudFigures) float64
	}{
		{"connections", "%.1f", func(f cloudFigures) float64 { return float64(f.Start.Connections) }},
		{"channels", "%.1f", func(f cloudFigures) float64 { return float64(f.Start.Channels) }},
		{"queues", "%.1f", func(f cloudFigures) float64 { return float64(f.Start.Queues) }},
		{"queue.declare at the start", "%.1f", func(f cloudFigures) float64 { return float64(f.Start.Declared) }},
		{"broker's memory, KiB", "%.0f", func(f cloudFigures) float64 { return float64(f.Start.Memory) / 1024 }},
		{"hosts' memory, KiB", "%.0f", func(f cloudFigures) float64 { return float64(f.PSS) / 1024 }},
		{"broker's CPU at work, thousandths of a core", "%.2f", func(f cloudFigures) float64 { return 1000 * f.WorkBroker.Seconds() / f.Worked.Seconds() }},
		{"hosts' CPU at work, thousandths of a core", "%.2f", func(f cloudFigures) float64 { return 1000 * f.WorkCPU.Seconds() / f.Worked.Seconds() }},
	}
	head := []string{"one more host costs"}
	rows := make([][]string, len(measures))
	for i, m := range measures {
		rows[i] = []string{m.name}
	}
	for _, name := range []string{ours, theirs} {
		all := grown[name]
		if len(all) < 2 {
			return
		}
		head = append(head, fmt.Sprintf("%s, %d to %d hosts", name, all[0].Hosts, all[len(all)-1].Hosts))
		for i, m := range measures {
			rows[i] = append(rows[i], fmt.Sprintf(m.format, slope(all, m.of)))
		}
	}
	p.say("Slopes, by least squares over the sizes measured:")
	p.table(head, rows)
	var figures []chart.Figure
	for _, m := range measures[4:7] {
		lines := chart.Lines{Title: strings.ToUpper(m.name[:1]) + m.name[1:], X: chart.Axis{Name: "hosts", Log: true}, Y: chart.Axis{Name: m.name, Log: true}}
		for _, name := range []string{ours, theirs} {
			line := chart.Line{Name: name}
			for _, f := range grown[name] {
				if y := m.of(f); y > 0 {
					line.Points = append(line.Points, chart.Point{X: float64(f.Hosts), Y: y})
				}
			}
			lines.Lines = append(lines.Lines, line)
		}
		figures = append(figures, lines)
	}
	p.chart("agents.svg", "Memory and CPU time by hosts", figures...)
}

// slope is by how much y grows with one host.
func slope(all []cloudFigures, y func(cloudFigures) float64) float64 {
	var n, sx, sy, sxx, sxy float64
	for _, f := range all {
		x, y := float64(f.Hosts), y(f)
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	return (n*sxy - sx*sy) / (n*sxx - sx*sx)
}
