package scale_test

import (
	"flag"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
)

var (
	fullFlag    = flag.Bool("scale.full", false, "the sizes of docs/scale.md; without it a small version")
	partsFlag   = flag.String("scale.parts", "", "names of the parts to run, comma-separated; default: all")
	docFlag     = flag.String("scale.doc", "", "the page whose tables are to be written, and charts beside it; default: none")
	soakFlag    = flag.Duration("scale.soak", 10*time.Minute, "how long the part flat keeps up its load, with -scale.full")
	figuresFlag = flag.String("scale.figures", "", "a file for what the part agents has measured, so that a run that was cut short goes on where it was; default: none")
	agentsFlag  = flag.Int("scale.agents", 2000, "how many hosts the part agents simulates at the most, with -scale.full")
)

// hostsVariable makes a test binary a process of simulated hosts.
const hostsVariable = "GOSLO_SCALE_HOSTS"

func TestMain(m *testing.M) {
	if os.Getenv(hostsVariable) != "" {
		os.Exit(serveHosts(os.Stdin, os.Stdout))
	}
	brokertest.Main(m)
}

var parts = []struct {
	name string
	run  func(t *testing.T, p *page)
}{
	{"idle", measureIdle},
	{"rest", measureRest},
	{"fanout", measureFanout},
	{"payload", measurePayloads},
	{"callers", measureCallers},
	{"agents", measureAgents},
	{"flat", measureFlat},
}

// TestScale runs the parts one after the other: each wants the machine for itself.
func TestScale(t *testing.T) {
	chosen := strings.FieldsFunc(*partsFlag, func(r rune) bool { return r == ',' })
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	for _, name := range chosen {
		if !slices.Contains(names, name) {
			t.Fatalf("-scale.parts: there is no %q; there are %s", name, strings.Join(names, ", "))
		}
	}
	for _, part := range parts {
		if len(chosen) > 0 && !slices.Contains(chosen, part.name) {
			continue
		}
		t.Run(part.name, func(t *testing.T) {
			p := &page{path: *docFlag, part: part.name}
			part.run(t, p)
			p.write(t)
		})
	}
}

// size is full or small, as the flag says.
func size[T any](full, small T) T {
	if *fullFlag {
		return full
	}
	return small
}

// usage is what a process uses when it has collected its garbage.
type usage struct {
	Heap       int64 `json:"heap"`   // bytes that are alive
	Stacks     int64 `json:"stacks"` // bytes
	RSS        int64 `json:"rss"`    // bytes
	Goroutines int   `json:"goroutines"`
}

// used collects garbage and measures this process.
func used(tb testing.TB) usage {
	tb.Helper()
	u, err := measureSelf()
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

func measureSelf() (usage, error) {
	runtime.GC()
	runtime.GC() // what the first one finalised, and what pools gave up
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s, err := readMemory(os.Getpid())
	return usage{Heap: int64(m.HeapAlloc), Stacks: int64(m.StackInuse), RSS: s.RSS, Goroutines: runtime.NumGoroutine()}, err
}

// since is how much more u is than before.
func (u usage) since(before usage) usage {
	return usage{u.Heap - before.Heap, u.Stacks - before.Stacks, u.RSS - before.RSS, u.Goroutines - before.Goroutines}
}

// memory is what Go's own accounts hold: heap and stacks.
func (u usage) memory() int64 { return u.Heap + u.Stacks }
