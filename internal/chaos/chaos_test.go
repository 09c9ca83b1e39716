package chaos_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
)

var (
	fullFlag    = flag.Bool("chaos.full", false, "every fault in all its rounds, and bounds on time; without it a short version")
	faultsFlag  = flag.String("chaos.faults", "", "names of the faults, comma-separated; default: all")
	roundsFlag  = flag.Int("chaos.rounds", 0, "rounds of each fault; default: each fault's own")
	rateFlag    = flag.Float64("chaos.rate", 20, "calls per second of each pair of peers, and as many casts; a tenth as many fanouts")
	holdFlag    = flag.Duration("chaos.hold", 0, "how long a fault that is held lasts; default: 5s, in the short version 2s")
	timeoutFlag = flag.Duration("chaos.timeout", 10*time.Second, "deadline of calls, and of Go's casts")
	pythonFlag  = flag.Duration("chaos.python", 0, "how long to wait for Python peers to recover; default: 30s (150s where only heartbeats help), in the short version 3s")
	jsonFlag    = flag.String("chaos.json", "", "file for the report as JSON")
	logFlag     = flag.String("chaos.log", "", "file for what the Go peers logged")
)

// The goals on time. The short version runs on machines that do much else: there they only tell recovery from none.
const (
	recoverWithin      = 2 * time.Second
	probeInterval      = 10 * time.Second // the default of probe_interval
	recoverWithinShort = 30 * time.Second
	allowance          = time.Second
	allowanceShort     = 10 * time.Second
	// heartbeats is how long the broker believes in a dead connection: two of the default heartbeat_timeout_threshold.
	heartbeats = 150 * time.Second
	// pythonWait is how long Python peers are waited for where it is not heartbeats that they need.
	pythonWait      = 30 * time.Second
	pythonWaitShort = 3 * time.Second
	steady          = time.Second // of load before and after each strike
)

func TestMain(m *testing.M) {
	// The settings of the short version wait more than they work. -parallel overrides it.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	brokertest.Main(m)
}

// TestChaos breaks what the peers depend on, and holds them to the goals of the package comment.
func TestChaos(t *testing.T) {
	chosen := choose(t)
	out := &report{Date: time.Now().UTC().Truncate(time.Second), Go: runtime.Version(), titles: map[string]string{}}
	var settings []setting
	chosenOf := map[setting][]fault{}
	for _, s := range []setting{broker, network, cluster} {
		var here []fault
		for _, f := range chosen {
			if f.setting == s {
				here = append(here, f)
				out.titles[f.name] = f.title
			}
		}
		if len(here) > 0 {
			settings = append(settings, s)
			chosenOf[s] = here
		}
	}
	t.Run("in", func(t *testing.T) {
		for _, s := range settings {
			t.Run(string(s), func(t *testing.T) {
				if !*fullFlag {
					t.Parallel()
				}
				runSetting(t, s, chosenOf[s], out)
			})
		}
	})
	out.Took = time.Since(out.Date)
	fmt.Fprintf(os.Stderr, "\nGoslo on %s, oslo.messaging %s, RabbitMQ %s, %s, %s\n", out.Go, out.Python, out.Broker, out.Date.Format(time.RFC3339), out.Took.Round(time.Second))
	fmt.Fprintf(os.Stderr, "the machine did not let it run for %.1f s, the longest time %.1f s\n\n", out.Stalled, out.LongestStall)
	out.tables(os.Stderr)
	for _, f := range out.Failed {
		t.Errorf("goal failed: %s", f)
	}
	if *jsonFlag != "" {
		if err := out.save(*jsonFlag); err != nil {
			t.Error(err)
		}
	}
}

func choose(t *testing.T) []fault {
	t.Helper()
	if *faultsFlag == "" {
		return faults
	}
	var out []fault
	for name := range strings.SplitSeq(*faultsFlag, ",") {
		i := slices.IndexFunc(faults, func(f fault) bool { return f.name == name })
		if i < 0 {
			var known []string
			for _, f := range faults {
				known = append(known, f.name)
			}
			t.Fatalf("chaos.faults: there is no %q; there are %s", name, strings.Join(known, ", "))
		}
		out = append(out, faults[i])
	}
	return out
}

func runSetting(t *testing.T, s setting, here []fault, out *report) {
	progress("setting: %s", s)
	w := newWorld(t, s)
	out.against(w.node.Eval(t, "rabbit_misc:version()"), w.pythons.version())
	for _, f := range here {
		for _, r := range runFault(t, w, f) {
			out.add(r, f.goals(r))
		}
		logged := w.log.take()
		if *logFlag != "" {
			appendTo(t, *logFlag, "# "+f.title+"\n"+logged)
		}
	}
	out.stalled(w.clock.all())
	for _, problem := range w.end(t) {
		out.miss(string(s), problem)
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Error(err)
	}
}

// runFault has load run while f strikes, and accounts for all of it.
func runFault(t *testing.T, w *world, f fault) []row {
	t.Helper()
	rounds, hold, python := f.brief, 2*time.Second, pythonWaitShort
	if *fullFlag {
		rounds, hold, python = f.rounds, 5*time.Second, pythonWait
		if f.ghosts {
			python = heartbeats
		}
	}
	if *roundsFlag > 0 {
		rounds = *roundsFlag
	}
	if *holdFlag > 0 {
		hold = *holdFlag
	}
	if *pythonFlag > 0 {
		python = *pythonFlag
	}
	run := f.name
	progress("%s: load on", f.title)
	w.load(run, rates{*rateFlag, *rateFlag, *rateFlag / 10})
	start := moment{struck: time.Now(), healed: time.Now()}
	if !await(w, run, pairs, start, time.Minute) {
		progress("%s: not every pair works before the fault", f.title)
	}
	alive := working(w, run, pairs, start)
	var moments []moment
	for i := range rounds {
		wait(steady)
		m, mend := f.strike(t, w, i, hold)
		moments = append(moments, m)
		ours := await(w, run, pairs[:1], m, recoverWithinShort)
		took := time.Since(m.healed)
		await(w, run, alive, m, max(python-took, 0))
		alive = working(w, run, alive, m)
		progress("%s: round %d of %d: %s", f.title, i+1, rounds, summary(w, run, m))
		if mend != nil {
			mend()
		}
		wait(steady)
		if !ours {
			break
		}
	}
	w.unload()
	drain(w, run, f, moments)
	l := w.records(run)
	for _, r := range l.missing(moments) {
		fmt.Fprintf(w.log, "not executed: %s, made %v after the last fault, confirmed after %v\n",
			r.key, sinceHealed(r.began, moments).Round(time.Millisecond), r.ended.Sub(r.began).Round(time.Millisecond))
	}
	var rows []row
	for _, p := range pairs {
		rows = append(rows, l.only(p).account(f.name, p, moments, *timeoutFlag+limit(allowance, allowanceShort)))
	}
	w.replace(t, alive)
	return rows
}

// await waits until every pair has recovered from m, and says whether they have within limit.
func await(w *world, run string, who []pair, m moment, limit time.Duration) bool {
	end := time.Now().Add(limit)
	for {
		if len(working(w, run, who, m)) == len(who) {
			return true
		}
		if time.Now().After(end) {
			return false
		}
		wait(100 * time.Millisecond)
	}
}

// working are the pairs that have recovered from m.
func working(w *world, run string, who []pair, m moment) []pair {
	l := w.records(run)
	var out []pair
	for _, p := range who {
		if len(l.only(p).recovery(m)) == len(kinds) {
			out = append(out, p)
		}
	}
	return out
}

func summary(w *world, run string, m moment) string {
	l := w.records(run)
	var out []string
	for _, p := range pairs {
		r := l.only(p).recovery(m)
		var all []string
		for _, k := range kinds {
			text := "-"
			if d, ok := r[k]; ok {
				text = after(d.Seconds())
			}
			all = append(all, text)
		}
		out = append(out, p.String()+" "+strings.Join(all, "/"))
	}
	return strings.Join(out, ", ")
}

// drain waits until all requests have ended and all confirmed casts have been executed, as long as that may take.
func drain(w *world, run string, f fault, rounds []moment) {
	patience := *timeoutFlag + limit(allowance, allowanceShort) + steady
	if f.ghosts {
		patience += heartbeats
	}
	if !settled(w, run, rounds, patience) && len(w.records(run).only(pairs[1]).missing(rounds)) > 0 {
		// What Go's client has sent may wait in the queue of a server that does not listen any more.
		progress("Python's server is started anew, for what waits in its queues")
		w.pythons.serveAnew()
		settled(w, run, rounds, patience)
	}
	wait(steady) // for what is executed twice
}

// settled says whether nothing was open or missing within patience.
func settled(w *world, run string, rounds []moment, patience time.Duration) bool {
	end := time.Now().Add(patience)
	for time.Now().Before(end) {
		l := w.records(run)
		if !*fullFlag { // what Python's client has lost is not worth the wait
			l.requests = slices.Concat(l.only(pairs[0]).requests, l.only(pairs[1]).requests)
		}
		open := slices.ContainsFunc(l.requests, func(r request) bool { return r.ended.IsZero() })
		if !open && len(l.missing(rounds)) == 0 {
			return true
		}
		wait(100 * time.Millisecond)
	}
	return false
}

func limit(full, short time.Duration) time.Duration {
	if *fullFlag {
		return full
	}
	return short
}

// goals are those that the row misses.
func (f fault) goals(r row) (missed []string) {
	ours := r.Pair == pairs[0].String()
	fromGo := strings.HasPrefix(r.Pair, string(golang))
	toGo := strings.HasSuffix(r.Pair, string(golang))
	if fromGo && r.Casts.Lost > 0 {
		missed = append(missed, fmt.Sprintf("%d confirmed casts lost", r.Casts.Lost))
	}
	if toGo && r.Twice > 0 {
		missed = append(missed, fmt.Sprintf("%d requests executed twice", r.Twice))
	}
	if fromGo && r.Calls.Hanging+r.Casts.Hanging > 0 {
		missed = append(missed, fmt.Sprintf("%d calls and %d casts had neither reply nor error by their deadline", r.Calls.Hanging, r.Casts.Hanging))
	}
	if !ours {
		return missed
	}
	if r.Calls.Answered == 0 || r.Casts.Confirmed == 0 {
		missed = append(missed, "there was no load")
	}
	for _, k := range kinds {
		within := limit(recoverWithin, recoverWithinShort)
		if k == fanout && f.probed {
			within += probeInterval
		}
		if w := r.worst(k); w < 0 || w > within.Seconds() {
			missed = append(missed, fmt.Sprintf("recovery of a %s took %s s, more than %v", k, after(w), within))
		}
	}
	return missed
}
