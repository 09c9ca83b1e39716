package compare_test

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
)

// A contest is one kind of work, and those who do it. The first contender is the one whom the others are compared with.
type contest struct {
	work       string
	callers    []int
	node       broker // nil: there is none
	contenders []contender
}

// A broker tells what it costs.
type broker interface {
	CPUTime(t testing.TB) time.Duration
}

// A contender does the work of its contest.
type contender struct {
	name string
	// run works by so many callers for so long, and fails the test when an answer is wrong.
	run func(tb testing.TB, callers int, d time.Duration) outcome
	// before makes work for so long a round. It is not measured. Default (nil): there is nothing to do.
	before func(tb testing.TB, d time.Duration)
	// after throws away what is left. It is not measured. Default (nil): nothing is.
	after func(tb testing.TB)
	// settled says whether what was sent has arrived. The time until then counts for CPU, not for rates. Default (nil): it has.
	settled func() bool
	// cpu is the CPU time of client and server so far. Default (nil): they are in this process.
	cpu func(tb testing.TB) time.Duration
}

// An outcome is what a contender did in one round.
type outcome struct {
	count     int
	perSecond float64
	p50, p99  time.Duration // of one operation; 0 = not measured
}

// allCallers are how many call at a time in most contests.
func allCallers() []int {
	if *fullFlag {
		return []int{1, 16, 64}
	}
	return []int{1, 64}
}

// inProcess is a contender whose client and server are in this process.
func inProcess(name string, op func() error) contender {
	spent := &latencies{}
	return contender{name: name, run: func(tb testing.TB, callers int, d time.Duration) outcome {
		tb.Helper()
		return spent.measure(tb, callers, d, op)
	}}
}

// latencies have room for how long each operation took, in nanoseconds, by caller. It is used again in the next round, so that recording
// allocates nothing.
type latencies [][]uint32

// measure runs op by so many callers for so long.
func (l *latencies) measure(tb testing.TB, callers int, d time.Duration, op func() error) outcome {
	tb.Helper()
	for len(*l) < callers {
		*l = append(*l, nil)
	}
	var wg sync.WaitGroup
	started := time.Now()
	for i := range callers {
		wg.Go(func() {
			spent := (*l)[i][:0]
			for began := started; began.Sub(started) < d; {
				if err := op(); err != nil {
					tb.Error(err)
					break
				}
				ended := time.Now()
				spent = append(spent, uint32(min(ended.Sub(began), 1<<32-1)))
				began = ended
			}
			(*l)[i] = spent
		})
	}
	wg.Wait()
	took := time.Since(started)
	all := slices.Concat((*l)[:callers]...)
	slices.Sort(all)
	o := outcome{count: len(all), perSecond: float64(len(all)) / took.Seconds()}
	if len(all) > 0 {
		o.p50, o.p99 = time.Duration(all[len(all)/2]), time.Duration(all[len(all)*99/100])
	}
	return o
}

// A pace is how long and how often contenders work.
type pace struct {
	rounds      int
	round, warm time.Duration
	watched     bool // says how far it is
}

// hold runs a contest and returns what it found: a series for each contender and number of callers.
func (c contest) hold(tb testing.TB, p pace) []series {
	tb.Helper()
	var out []series
	for _, callers := range c.callers {
		here := make([]series, len(c.contenders))
		for i, who := range c.contenders {
			here[i] = series{Work: c.work, Callers: callers, Contender: who.name}
			c.round(tb, who, callers, p.warm)
		}
		for round := range p.rounds {
			for i := range c.contenders {
				i = (i + round) % len(c.contenders)
				here[i].add(c.round(tb, c.contenders[i], callers, p.round))
			}
		}
		out = append(out, here...)
		p.tell(c, callers, here)
	}
	return out
}

// round has one contender work once.
func (c contest) round(tb testing.TB, who contender, callers int, d time.Duration) sample {
	tb.Helper()
	if who.before != nil {
		who.before(tb, d)
	}
	cpu := who.cpu
	if cpu == nil {
		cpu = ownCPU
	}
	runtime.GC() // of what others left
	allocated, used, broker := allocations(), cpu(tb), c.brokerCPU(tb)
	o := who.run(tb, callers, d)
	if who.settled != nil {
		brokertest.Await(tb, who.name+": what was sent arrives", who.settled)
	}
	used, broker, allocated = cpu(tb)-used, c.brokerCPU(tb)-broker, allocations()-allocated
	if who.after != nil {
		who.after(tb)
	}
	if o.count == 0 {
		tb.Fatalf("%s, %d callers: %s did nothing in %v", c.work, callers, who.name, d)
	}
	each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(o.count) }
	s := sample{
		PerSecond: o.perSecond, CPU: each(used), BrokerCPU: each(broker),
		P50: float64(o.p50.Nanoseconds()) / 1e3, P99: float64(o.p99.Nanoseconds()) / 1e3,
	}
	if who.cpu == nil {
		s.Allocations = float64(allocated) / float64(o.count)
	}
	return s
}

func (c contest) brokerCPU(tb testing.TB) time.Duration {
	tb.Helper()
	if c.node == nil {
		return 0
	}
	return c.node.CPUTime(tb)
}

// tell shows how far the run is.
func (p pace) tell(c contest, callers int, here []series) {
	if !p.watched {
		return
	}
	var rates []string
	for _, s := range here {
		rates = append(rates, fmt.Sprintf("%s %.0f", s.Contender, median(s.PerSecond)))
	}
	progress("%s, %d at a time, per second: %s", c.work, callers, strings.Join(rates, ", "))
}

func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "compare: %s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

func allocations() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// ownCPU is the CPU time of this process.
func ownCPU(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// must(f())(tb) is f's value; its error fails tb.
func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}
