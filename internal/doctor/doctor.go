// Package doctor finds what is wrong with the RPC of a virtual host.
//
// A check is a pure function of what was measured, the [Facts]; it has an id that never changes, and an entry under that id in
// docs/operating.md. [Explain] says what a line of a log means, by the same facts. [Measure] fills them in, by a handful of requests to the
// broker and a probe to each server. How all of it is shown is internal/cli's.
//
// Measure starts goroutines, one for each probe that is under way, and waits for them.
package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goslo/goslo/internal/management"
	"github.com/goslo/goslo/internal/operator"
	"github.com/goslo/goslo/internal/probe"
)

// A Severity says how bad a finding is.
type Severity string

// The severities.
const (
	Bad  Severity = "bad"  // requests fail or are lost now, or will with the next restart
	Warn Severity = "warn" // nothing fails for that reason today
	Info Severity = "info" // worth knowing
)

// rank orders severities: the worst comes first.
func (s Severity) rank() int {
	return slices.Index([]Severity{Bad, Warn, Info}, s)
}

// AtLeast says whether s is as bad as t, or worse.
func (s Severity) AtLeast(t Severity) bool { return s.rank() <= t.rank() }

// A Finding is one thing that a check has found.
type Finding struct {
	ID       string           `json:"id"`   // of the check
	Name     string           `json:"name"` // of the check
	Severity Severity         `json:"severity"`
	Subject  string           `json:"subject"` // the queue, exchange, process or option that it is about
	Text     string           `json:"text"`    // what is wrong with it
	Evidence []string         `json:"evidence,omitempty"`
	Owners   []operator.Owner `json:"owners,omitempty"`
	Next     string           `json:"next"` // what to do: a command, where there is one
}

// Facts are what checks know. What could not be measured is nil or zero, and the checks that need it say so.
type Facts struct {
	View       *operator.View                 // nil = there was no way to see the virtual host
	Channels   []management.Channel           // nil = not seen
	Policies   []management.Policy            // nil = not seen
	Deprecated []management.DeprecatedFeature // nil = the broker has no list of them, or it was not seen
	Probes     []probe.Answer                 // nil = nobody was asked
	Waited     time.Duration                  // for each of these
	Clock      *Clock                         // nil = the broker's clock could not be seen
	Settings   Settings                       // nil = no configuration was given
	Why        map[string]string              // of what was not measured: why; by the names below
}

// What may be missing, in [Facts.Why].
const (
	whyView     = "view"
	whyNodes    = "nodes"
	whyChannels = "channels"
	whyPolicies = "policies"
	whyProbes   = "probes"
	whyClock    = "clock"
	whyVersion  = "version"
	whySettings = "settings"
)

// A Clock is the difference between two clocks.
type Clock struct {
	Ahead time.Duration // of the broker's clock, of ours
	Error time.Duration // how far off Ahead may be
}

// Settings are options of configuration files, as goslo.Options has them.
type Settings interface {
	// Option returns the value of an option and where it is given, both "" when nobody gives it.
	Option(group, name string) (value, from string, err error)
}

// A Check looks for one kind of trouble.
type Check struct {
	ID    string // "B01": never changes, and is not used again
	Name  string // a word
	Looks string // what it looks for
	needs []string
	run   func(*Facts) []Finding
	peers bool // it looks at consumers or connections
}

// An Unchecked is a check that could not be made, or not of all that it is about.
type Unchecked struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Why  string `json:"why"`
}

// A Report is what the checks have found.
type Report struct {
	Checked   []string    `json:"checked"`   // ids
	Unchecked []Unchecked `json:"unchecked"` // of what was to be checked
	Findings  []Finding   `json:"findings"`  // the worst first
}

// Count is the number of findings of a severity.
func (r *Report) Count(s Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// Worse says whether a finding is as bad as s, or worse.
func (r *Report) Worse(s Severity) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Severity.AtLeast(s) })
}

// Examine makes those of the [Checks] that choose picks.
func Examine(facts *Facts, choose func(Check) bool) *Report {
	r := &Report{Checked: []string{}, Unchecked: []Unchecked{}, Findings: []Finding{}}
	for _, c := range Checks() {
		if !choose(c) {
			continue
		}
		if why, missing := facts.missing(c.needs); missing {
			r.Unchecked = append(r.Unchecked, Unchecked{c.ID, c.Name, why})
			continue
		}
		r.Checked = append(r.Checked, c.ID)
		if why := facts.half(c); why != "" {
			r.Unchecked = append(r.Unchecked, Unchecked{c.ID, c.Name, why})
		}
		for _, f := range c.run(facts) {
			f.ID, f.Name = c.ID, c.Name
			r.Findings = append(r.Findings, f)
		}
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(a.Severity.rank()-b.Severity.rank(), strings.Compare(a.ID, b.ID))
	})
	return r
}

// missing says what of needs is not known, and why.
func (f *Facts) missing(needs []string) (why string, missing bool) {
	have := map[string]bool{
		whyView: f.View != nil && f.View.Full, whyChannels: f.Channels != nil, whyPolicies: f.Policies != nil,
		whyProbes: f.Probes != nil, whyNodes: f.View != nil && len(f.View.Broker.Nodes) > 0,
		whyVersion: f.View != nil && f.View.Broker.Version != "", whyClock: f.Clock != nil, whySettings: f.Settings != nil,
	}
	for _, need := range needs {
		if !have[need] {
			return cmp.Or(f.Why[need], "not measured"), true
		}
	}
	return "", false
}

// lacksTag is why little is known of connections and of the nodes; View.Unseen says whose tag it is.
const lacksTag = "the user of the management API lacks the tag monitoring, and sees no connections but its own"

// half says what could be measured in part only.
func (f *Facts) half(c Check) string {
	if c.peers && !f.View.Everybody {
		return lacksTag
	}
	if !slices.Contains(c.needs, whyProbes) {
		return ""
	}
	topics := make(map[string]int)
	for _, p := range f.Probes {
		if p.State == probe.NotAsked {
			topics[p.Topic]++
		}
	}
	if len(topics) == 0 {
		return ""
	}
	return "servers of " + some(sortedKeys(topics), "") + " were not asked: which version they serve is not known; name one with --version"
}

// Choose picks checks by their ids or names: those of only, or all when it is empty, less those of skip.
// The error names an id that no check has.
func Choose(only, skip []string) (func(Check) bool, error) {
	all := Checks()
	for _, id := range append(slices.Clone(only), skip...) {
		if !slices.ContainsFunc(all, func(c Check) bool { return c.is(id) }) {
			ids := make([]string, len(all))
			for i, c := range all {
				ids[i] = c.ID + " " + c.Name
			}
			return nil, fmt.Errorf("there is no check %q; there are %s", id, strings.Join(ids, ", "))
		}
	}
	return func(c Check) bool {
		return (len(only) == 0 || slices.ContainsFunc(only, c.is)) && !slices.ContainsFunc(skip, c.is)
	}, nil
}

func (c Check) is(id string) bool {
	return strings.EqualFold(id, c.ID) || strings.EqualFold(id, c.Name)
}
