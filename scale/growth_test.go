package scale_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/chart"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport/nats"
)

// measureFanout casts to all servers of a process, and takes the time until the last one has it.
func measureFanout(t *testing.T, p *page) {
	sizes, rounds := size([]int{1, 10, 100, 1000}, []int{1, 20}), size(20, 2)
	p.say("One cast to all servers, which share one connection; medians of %d rounds. CPU is of this process, which sends and hears, and of the broker's, for each cast.", rounds)
	var rows [][]string
	onEveryBus(t, func(t *testing.T, b *bus) {
		for _, n := range sizes {
			m := fanoutTo(t, b, n, rounds)
			broker := "-"
			if m.bus > 0 {
				broker = millis(m.bus)
			}
			rows = append(rows, []string{
				b.name, count(n), millis(m.quantile(0.5)), millis(m.quantile(1)), micros(m.quantile(0.5) / time.Duration(n)), millis(m.cpu), broker,
			})
		}
	})
	p.table([]string{"bus", "servers", "the last has it after", "worst", "for each server", "our CPU", "broker's CPU"}, rows)
}

func fanoutTo(t *testing.T, b *bus, servers, rounds int) measurement {
	t.Helper()
	var heard atomic.Int64
	all := make(chan struct{}, 1)
	f := launch(t, b.open(t), servers, refresh.Handle(func(context.Context, echoArgs) error {
		if heard.Add(1)%int64(servers) == 0 {
			all <- struct{}{}
		}
		return nil
	}))
	defer f.end()
	client := rpc.NewClient(b.open(t), rpc.ClientConfig{})
	once := func() bool {
		if err := refresh.Cast(t.Context(), client.Fanout(), someArgs); err != nil {
			t.Errorf("fanout: %v", err)
			return false
		}
		select {
		case <-all:
			return true
		case <-time.After(time.Minute):
			t.Errorf("%s: after a minute %d servers have heard %d", b.name, servers, heard.Load())
			return false
		}
	}
	var m measurement
	for range rounds {
		one := work(t, b, 1, 0, once)
		m.latencies = append(m.latencies, one.latencies...)
		m.cpu += one.cpu
		m.bus += one.bus
	}
	m.cpu /= time.Duration(rounds)
	m.bus /= time.Duration(rounds)
	slices.Sort(m.latencies)
	if got, want := heard.Load(), int64(rounds*servers); got != want {
		t.Errorf("%s: %d servers heard %d fanouts %d times, not %d", b.name, servers, rounds, got, want)
	}
	return m
}

// measurePayloads calls with arguments of growing size, which come back.
func measurePayloads(t *testing.T, p *page) {
	sizes := size([]int{64, 1 << 10, 16 << 10, 128 << 10, 1 << 20, 4 << 20, 8 << 20}, []int{64, 1 << 20})
	p.say("One caller, whose argument comes back: both ways the same size. NATS's server is told to take 16 MiB (max_payload); its own default is 1 MiB.")
	var rows [][]string
	lines := map[string][]float64{}
	for _, b := range []func(*testing.T) *bus{openMemory, openRoomyNATS, openRabbit} {
		bus := b(t)
		pair := newPair(t, bus)
		for _, n := range sizes {
			args := echoArgs{strings.Repeat("x", n)}
			pair.call(t, args)
			m := work(t, bus, 1, size(2*time.Second, 10*time.Millisecond), func() bool { return pair.call(t, args) })
			rows = append(rows, []string{
				bus.name, bytesOf(n), millis(m.quantile(0.5)), millis(m.quantile(0.99)),
				fmt.Sprintf("%.1f", 2*float64(n)*m.rate()/(1<<20)), micros(m.cpu), micros(m.bus),
			})
			lines[bus.name] = append(lines[bus.name], float64(m.quantile(0.5).Microseconds())/1000)
		}
	}
	p.table([]string{"bus", "payload", "median", "p99", "MiB/s, both ways", "our CPU", "broker's CPU"}, rows)
	if len(sizes) > 2 {
		p.chart("payload.svg", "Median time of a call by payload", linesOf("Median time of a call by payload", "bytes", "ms", sizes, lines))
	}
}

func openRoomyNATS(t *testing.T) *bus {
	t.Helper()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{Config: "max_payload: 16MB\n"})
	config, err := nats.ConfigFromURL(parse(t, node.URL()))
	if err != nil {
		t.Fatal(err)
	}
	return natsBus(t, node, config)
}

func bytesOf(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// measureCallers calls with more and more callers. Rounds go over all of them, so that a bad minute of the machine spoils no single one.
func measureCallers(t *testing.T, p *page) {
	callers := size([]int{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024}, []int{1, 32})
	rounds, each := size(3, 1), size(1500*time.Millisecond, 10*time.Millisecond)
	args := echoArgs{strings.Repeat("x", 198)}
	p.say("A 200-byte argument, which comes back; client and server have connections of their own in one process. Medians of %d rounds of %v.", rounds, each)
	var rows [][]string
	rates, costs := map[string][]float64{}, map[string][]float64{}
	onEveryBus(t, func(t *testing.T, b *bus) {
		pair := newPair(t, b)
		pair.call(t, args)
		all := make([][]measurement, len(callers))
		for range rounds {
			for i, n := range callers {
				all[i] = append(all[i], work(t, b, n, each, func() bool { return pair.call(t, args) }))
			}
		}
		for i, n := range callers {
			ms := all[i]
			rate := median(ms, measurement.rate)
			cpu := median(ms, func(m measurement) time.Duration { return m.cpu })
			broker := median(ms, func(m measurement) time.Duration { return m.bus })
			rows = append(rows, []string{
				b.name, count(n), fmt.Sprintf("%.0f", rate),
				millis(median(ms, func(m measurement) time.Duration { return m.quantile(0.5) })),
				millis(median(ms, func(m measurement) time.Duration { return m.quantile(0.99) })), micros(cpu), micros(broker),
			})
			rates[b.name] = append(rates[b.name], rate)
			costs[b.name] = append(costs[b.name], float64((cpu+broker).Nanoseconds())/1000)
		}
	})
	p.table([]string{"bus", "callers", "calls/s", "median", "p99", "our CPU per call", "broker's"}, rows)
	if len(callers) > 2 {
		p.chart("callers.svg", "CPU time and rate of calls by callers",
			linesOf("CPU per call, ours and the broker's", "callers", "us", callers, costs), linesOf("Calls per second", "callers", "calls/s", callers, rates))
	}
}

// linesOf draws one line for each bus, on axes whose steps are tenfold.
func linesOf(title, x, y string, at []int, lines map[string][]float64) chart.Figure {
	out := chart.Lines{Title: title, X: chart.Axis{Name: x, Log: true}, Y: chart.Axis{Name: y, Log: true}}
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		line := chart.Line{Name: name}
		for i, v := range lines[name] {
			if v > 0 {
				line.Points = append(line.Points, chart.Point{X: float64(at[i]), Y: v})
			}
		}
		out.Lines = append(out.Lines, line)
	}
	return out
}
