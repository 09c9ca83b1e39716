package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Routing is the driver that chooses other drivers for each notification, by a file (NDRV-06):
//
//	group-1:                        # any name
//	    messagingv2:                # a driver
//	        accepted_events: ["compute.*"]
//	        accepted_priorities: [info, error]
//	        rejected_events: ["compute.*.start"]
//	    log:                        # without rules: always
//
// Patterns are the shell's: * any text, ? any character, [abc] and [!abc] one of some. A driver gets a notification when in one of the groups
// each accepted list that is there has a pattern that matches, and no rejected list has one (NDRV-08, NDRV-09); once, whatever the number of
// groups. rejected_events and rejected_priorities are ours: upstream ignores them.
type Routing struct {
	drivers []route // by name
}

// A route is a driver with its rules: one set for each group that names it.
type route struct {
	driver Driver
	groups []rules
}

// rules are lists of patterns; nil = there is no such list.
type rules struct{ events, priorities, noEvents, noPriorities []*regexp.Regexp }

// NewRouting reads the file at path, once, and makes each driver that it names, once. A file without a group, a member that there is not, and a
// driver that cannot be made are errors; upstream reads it at the first notification, ignores the members, and logs the rest (NDRV-05, NDRV-10,
// NDRV-13).
func NewRouting(path string, driver func(name string) (Driver, error)) (*Routing, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("notify: routing: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	r, err := readRouting(f, driver)
	if err != nil {
		return nil, fmt.Errorf("notify: routing: %s: %w", path, err)
	}
	return r, nil
}

// A group is what a file says of each driver.
type group map[string]*struct {
	Events     []string `yaml:"accepted_events"`
	Priorities []string `yaml:"accepted_priorities"`

	NoEvents     []string `yaml:"rejected_events"`
	NoPriorities []string `yaml:"rejected_priorities"`
}

func readRouting(file io.Reader, driver func(name string) (Driver, error)) (*Routing, error) {
	var groups map[string]group
	d := yaml.NewDecoder(file)
	d.KnownFields(true)
	if err := d.Decode(&groups); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(groups) == 0 {
		return nil, errors.New("there is no group in it, and no notification would go anywhere")
	}
	routes := map[string]*route{}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		for to, of := range groups[name] {
			if routes[to] == nil {
				made, err := driver(to)
				if err != nil {
					return nil, fmt.Errorf("group %s: %w", name, err)
				}
				routes[to] = &route{driver: made}
			}
			var own rules
			if of != nil {
				asIs := func(s string) string { return s }
				own.events, own.noEvents = patterns(of.Events, asIs), patterns(of.NoEvents, asIs)
				own.priorities, own.noPriorities = patterns(of.Priorities, strings.ToLower), patterns(of.NoPriorities, strings.ToLower)
			}
			routes[to].groups = append(routes[to].groups, own)
		}
	}
	r := new(Routing)
	for _, to := range slices.Sorted(maps.Keys(routes)) {
		r.drivers = append(r.drivers, *routes[to])
	}
	return r, nil
}

// Notify hands n to the drivers that are to have it. The error joins theirs.
func (r *Routing) Notify(ctx context.Context, n *Raw, retry Retry) error {
	var errs []error
	for _, d := range r.drivers {
		if !slices.ContainsFunc(d.groups, func(of rules) bool { return of.accept(n) }) {
			continue
		}
		if err := d.driver.Notify(ctx, n, retry); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (r rules) accept(n *Raw) bool {
	in := func(list []*regexp.Regexp, text string) bool {
		return slices.ContainsFunc(list, func(p *regexp.Regexp) bool { return p.MatchString(text) })
	}
	priority := string(n.Priority)
	return (r.events == nil || in(r.events, n.Type)) && (r.priorities == nil || in(r.priorities, priority)) &&
		!in(r.noEvents, n.Type) && !in(r.noPriorities, priority)
}

// patterns are compiled. An empty list of what is accepted accepts nothing, a missing one all.
func patterns(list []string, change func(string) string) []*regexp.Regexp {
	if list == nil {
		return nil
	}
	all := make([]*regexp.Regexp, len(list))
	for i, p := range list {
		all[i] = wildcards(change(p))
	}
	return all
}

// wildcards compiles a pattern of the shell's, as Python's fnmatch reads it: what begins like a set and does not end is plain text, and
// there is no way to escape but a set.
func wildcards(pattern string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	rest := []rune(strings.ToValidUTF8(pattern, "\uFFFD"))
	for len(rest) > 0 {
		c := rest[0]
		rest = rest[1:]
		switch c {
		case '*':
			b.WriteString(".*")
		case '?':
			b.WriteString(".")
		case '[':
			set, length := characters(rest)
			if length == 0 {
				b.WriteString(`\[`)
				continue
			}
			b.WriteString(set)
			rest = rest[length:]
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	b.WriteString(`\z`)
	return regexp.MustCompile(b.String()) // of quoted text and sets that are written here
}

// characters is the set whose text, after its bracket, rest begins with, and how long that is. 0 = it is none.
func characters(rest []rune) (set string, length int) {
	i := 0
	not := i < len(rest) && rest[i] == '!'
	if not {
		i++
	}
	end := i
	if end < len(rest) && rest[end] == ']' { // the first is plain
		end++
	}
	for end < len(rest) && rest[end] != ']' {
		end++
	}
	if end >= len(rest) {
		return "", 0
	}
	var b strings.Builder
	for in := rest[i:end]; len(in) > 0; {
		from, to := in[0], in[0]
		in = in[1:]
		if len(in) >= 2 && in[0] == '-' {
			to = in[1]
			in = in[2:]
		}
		if from > to {
			continue // a range of none
		}
		fmt.Fprintf(&b, `\x{%X}-\x{%X}`, from, to)
	}
	switch {
	case b.Len() == 0 && not:
		return ".", end + 1
	case b.Len() == 0:
		return `[^\x{0}-\x{10FFFF}]`, end + 1
	case not:
		return "[^" + b.String() + "]", end + 1
	}
	return "[" + b.String() + "]", end + 1
}
