package compare_test

import (
	"fmt"
	"math"
	"strings"
)

// A goal is what is to be reached in comparison with somebody, or on its own.
type goal struct {
	work, against, measure string
	bound                  float64
	least                  bool // the bound is the least; otherwise it is the most
	// show writes a value. Default (nil): two decimals.
	show func(float64) string
	// find is what was measured, NaN where it was not.
	find func(results) estimate
}

func plain(v float64) string    { return fmt.Sprintf("%.2f", v) }
func fraction(v float64) string { return fmt.Sprintf("1/%.1f", 1/v) }
func times(v float64) string    { return fmt.Sprintf("%.1fx", v) }
func whole(v float64) string    { return fmt.Sprintf("%.0f", v) }
func micros(v float64) string   { return fmt.Sprintf("%.1f us", v) }
func kibibytes(v float64) string {
	return fmt.Sprintf("%.0f KiB", v/1024)
}

// goals are all of them; docs/benchmarks.md shows them and what has become of them.
func goals() []goal {
	var all []goal
	python := map[int]float64{1: 6, 16: 15, 64: 25}
	for _, n := range []int{1, 16, 64} {
		all = append(
			all,
			goal{"call on RabbitMQ, " + callers(n), "bare amqp091-go, no promise", "rate", 0.90, true, plain, rateOf("rabbit", "call", n, "bare")},
			goal{"", "", "CPU", 1.5, false, plain, cpuOf("rabbit", "call", n, "bare")},
			goal{"", "Python oslo.messaging", "rate", python[n], true, times, rateOf("rabbit", "call", n, "python")},
			goal{"", "", "CPU", 1. / 15, false, fraction, cpuOf("rabbit", "call", n, "python")},
		)
	}
	for _, n := range []int{1, 64} {
		all = append(all, goal{"confirmed cast on RabbitMQ, " + senders(n), "bare amqp091-go, deferred confirms", "rate", 0.95, true, plain, rateOf("rabbit", "cast", n, "bare")})
	}
	for _, n := range []int{1, 64} {
		all = append(all, goal{"call on NATS, " + callers(n), "bare nats.go, request and reply", "rate", 0.85, true, plain, rateOf("nats", "call", n, "bare")})
	}
	return append(
		all,
		goal{"call on ZeroMQ, TCP, 64 callers", "bare pebbe/zmq4", "rate", 0.70, true, plain, rateOf("zmq", "call over TCP", 64, "bare")},
		goal{"call over AMQP 1.0 on RabbitMQ, 64 callers", "bare go-amqp", "rate", 0.80, true, plain, rateOf("amqp1", "call on RabbitMQ", 64, "bare")},
		goal{"call over AMQP 1.0 on Proton's broker, 64 callers", "bare go-amqp", "rate", 0.80, true, plain, rateOf("amqp1", "call on Proton's broker", 64, "bare")},
		goal{"call in memory, 1 caller", "", "time", 5, false, micros, func(r results) estimate { return memory(r, microseconds) }},
		goal{"", "", "allocations, both sides", 25, false, whole, func(r results) estimate { return memory(r, func(s series) []float64 { return s.Allocations }) }},
		goal{"1,000 idle servers in one process", "", "memory of each", 64 << 10, false, kibibytes, idle("bytes")},
		goal{"", "", "goroutines of each", 3, false, plain, idle("goroutines")},
		goal{"", "", "connections", 1, false, whole, idle("connections")},
	)
}

func callers(n int) string { return count(n, "caller") }
func senders(n int) string { return count(n, "sender") }

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// microseconds are the time between two operations that end.
func microseconds(s series) []float64 {
	out := make([]float64, len(s.PerSecond))
	for i, rate := range s.PerSecond {
		out[i] = 1e6 / rate
	}
	return out
}

func rateOf(group, work string, callers int, other string) func(results) estimate {
	return against(group, work, callers, other, func(s series) []float64 { return s.PerSecond })
}

func cpuOf(group, work string, callers int, other string) func(results) estimate {
	return against(group, work, callers, other, func(s series) []float64 { return s.CPU })
}

// against is the ratio of Goslo to another contender.
func against(group, work string, callers int, other string, of func(series) []float64) func(results) estimate {
	return func(r results) estimate {
		g, _ := r.group(group)
		a, _ := g.find(work, callers, "goslo")
		b, _ := g.find(work, callers, other)
		return estimated(ratios(of(a), of(b)))
	}
}

func memory(r results, of func(series) []float64) estimate {
	g, _ := r.group("memory")
	s, _ := g.find("call", 1, "goslo")
	return estimated(of(s))
}

func idle(figure string) func(results) estimate {
	return func(r results) estimate {
		g, _ := r.group("idle")
		v, ok := g.Figures[figure]
		if !ok {
			v = math.NaN()
		}
		return estimate{v, v, v}
	}
}

func (g goal) reached(v float64) bool {
	if g.least {
		return v >= g.bound
	}
	return v <= g.bound
}

// goalsTable is the table of all goals.
func goalsTable(r results) string {
	var b strings.Builder
	b.WriteString("| work | beside | what | goal | measured | interval | |\n|---|---|---|---|---|---|---|\n")
	reached, measured := 0, 0
	for _, g := range goals() {
		sign, e := "<=", g.find(r)
		if g.least {
			sign = ">="
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s %s |", g.work, g.against, g.measure, sign, g.show(g.bound))
		if math.IsNaN(e.Median) {
			b.WriteString(" | | not measured |\n")
			continue
		}
		verdict := "**not reached**"
		measured++
		if g.reached(e.Median) {
			verdict = "reached"
			reached++
		}
		if g.reached(e.Low) != g.reached(e.High) {
			verdict += ", within the noise"
		}
		interval := ""
		if e.Low != e.High {
			interval = g.show(e.Low) + " to " + g.show(e.High)
		}
		fmt.Fprintf(&b, " %s | %s | %s |\n", g.show(e.Median), interval, verdict)
	}
	return fmt.Sprintf("**%d of %d goals are reached.**\n\n%s", reached, measured, b.String())
}
