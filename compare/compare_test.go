package compare_test

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
)

var (
	fullFlag   = flag.Bool("compare.full", false, "rounds that are long enough to mean something, one group after the other, and docs/benchmarks.md written anew; without it a short version")
	groupsFlag = flag.String("compare.groups", "", "names of the groups, separated by blanks or commas; default: all")
	roundsFlag = flag.Int("compare.rounds", 9, "rounds of each contender in a full run")
	roundFlag  = flag.Duration("compare.round", 800*time.Millisecond, "length of a round in a full run")
	jsonFlag   = flag.String("compare.json", "", "file for what this run found, as JSON")
	writeFlag  = flag.Bool("compare.write", false, "have TestDocument write the generated parts anew from docs/benchmarks/results.json, without measuring")
)

func TestMain(m *testing.M) {
	// The groups of the short version wait more than they work.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	brokertest.Main(m)
}

// A starter starts the contenders of a group, which end with t, and notes versions of what takes part.
type starter func(t *testing.T, m *machine) []contest

// A group is what runs with the same brokers.
type group struct {
	name  string
	title string
	// start is nil where this build has no such contenders.
	start starter
	// figures measures what has no rounds. Default (nil): nothing.
	figures func(t *testing.T, m *machine) map[string]float64
}

// groups are all of them, in the order in which documents have them.
func groups() []group {
	return []group{
		{name: "rabbit", title: "Calls and casts on RabbitMQ", start: startRabbit},
		{name: "notify", title: "Notifications on RabbitMQ", start: startNotify},
		{name: "nats", title: "Calls and casts on NATS", start: startNATS},
		{name: "zmq", title: "Calls on ZeroMQ", start: startZMQ},
		{name: "amqp1", title: "Calls over AMQP 1.0", start: startAMQP1},
		{name: "memory", title: "Calls in memory", start: startMemory},
		{name: "idle", title: "Idle servers", start: nothing, figures: idleServers},
	}
}

func nothing(*testing.T, *machine) []contest { return nil }

// choose returns the groups to run: the last of documents first, so that no idle broker takes part before its time. Without names those
// groups are left out that this build does not have.
func choose(t *testing.T) []group {
	t.Helper()
	names := strings.FieldsFunc(*groupsFlag, func(r rune) bool { return r == ',' || r == ' ' })
	var known []string
	for _, g := range groups() {
		known = append(known, g.name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			t.Fatalf("compare.groups: there is no %q; there are %s", name, strings.Join(known, ", "))
		}
	}
	var out []group
	for _, g := range groups() {
		chosen := slices.Contains(names, g.name)
		switch {
		case chosen && g.start == nil:
			t.Fatalf("compare.groups: %s is not in this build: go test -tags zmq", g.name)
		case chosen || len(names) == 0 && g.start != nil:
			out = append(out, g)
		}
	}
	slices.Reverse(out)
	return out
}

// TestCompare measures the groups. In the short version they run side by side, each contender for a moment, so that it tells whether all of them
// answer rightly, and whether their document comes out; its figures are worth nothing.
func TestCompare(t *testing.T) {
	chosen := choose(t)
	p := pace{rounds: 1, round: 20 * time.Millisecond, warm: time.Millisecond}
	if *fullFlag {
		p = pace{rounds: *roundsFlag, round: *roundFlag, warm: *roundFlag / 4, watched: true}
	}
	var found results
	var mu sync.Mutex
	machine := thisMachine(t)
	t.Run("group", func(t *testing.T) {
		for i, g := range chosen {
			t.Run(g.name, func(t *testing.T) {
				switch {
				case *fullFlag:
					progress("%s (%d of %d)", g.title, i+1, len(chosen))
				case g.figures == nil: // others' goroutines would be counted
					t.Parallel()
				}
				result := g.run(t, machine, p)
				mu.Lock()
				defer mu.Unlock()
				found.put(result)
			})
		}
	})
	if t.Failed() {
		return
	}
	if *jsonFlag != "" {
		if err := found.save(*jsonFlag); err != nil {
			t.Error(err)
		}
	}
	if !*fullFlag {
		checkParts(t, found)
		return
	}
	known := must(load(resultsFile))(t)
	for _, g := range found.Groups {
		known.put(g)
	}
	if err := known.save(resultsFile); err != nil {
		t.Fatal(err)
	}
	if err := writeDocuments(known); err != nil {
		t.Fatal(err)
	}
	fmt.Println(goalsTable(known))
}

// run measures one group.
func (g group) run(t *testing.T, m machine, p pace) groupResult {
	t.Helper()
	r := groupResult{Group: g.name, Started: time.Now().UTC().Truncate(time.Second), Rounds: p.rounds, Seconds: p.round.Seconds(), Machine: m}
	r.Machine.Versions = slices.Clone(m.Versions)
	if g.figures != nil {
		r.Figures = g.figures(t, &r.Machine)
	}
	for _, c := range g.start(t, &r.Machine) {
		r.Series = append(r.Series, c.hold(t, p)...)
	}
	return r
}
