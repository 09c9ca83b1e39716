package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goslo/goslo/internal/nearest"
)

// A rule is one that can be asked.
type rule struct {
	name   string
	check  check
	scopes []string
	where  string // it comes from: a file's line, or "" for the program's own
}

// at is the rule for people: where and what.
func (r *rule) at() string {
	if r.where == "" {
		return fmt.Sprintf("rule %q", r.name)
	}
	return fmt.Sprintf("%s: rule %q", r.where, r.name)
}

// rules are all rules, with references resolved, and without a circle among them. They do not change.
type rules struct {
	byName   map[string]*rule
	fallback *rule // for names that nobody defines; nil = none
}

// named is the rule that answers for name; nil if none does.
func (r *rules) named(name string) *rule {
	if found, ok := r.byName[name]; ok {
		return found
	}
	return r.fallback
}

// load makes rules of the defaults and the files.
func load(c *Config) (*rules, error) {
	r := &rules{byName: make(map[string]*rule)}
	var problems []error
	for _, d := range c.Defaults {
		made := &rule{name: d.Name, scopes: d.ScopeTypes}
		if _, ok := r.byName[d.Name]; ok {
			problems = append(problems, fmt.Errorf("rule %q: it is registered twice", d.Name))
		}
		var err error
		if made.check, err = parse(d.Check); err != nil {
			problems = append(problems, fmt.Errorf("rule %q: %q: %w", d.Name, d.Check, err))
			continue
		}
		r.byName[d.Name] = made
	}
	for _, file := range files(c) {
		entries, err := readFile(file)
		if err != nil {
			problems = append(problems, err)
		}
		for _, made := range entries {
			if before := r.byName[made.name]; before != nil {
				made.scopes = before.scopes
			}
			r.byName[made.name] = made
		}
	}
	r.fallback = r.byName[c.DefaultRule]
	if len(problems) == 0 { // a rule that did not parse would look like one that is not there
		problems = append(r.resolve(), r.circles()...)
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	if len(c.Defaults) > 0 {
		r.warn(c)
	}
	return r, nil
}

// sorted is all rules by name.
func (r *rules) sorted() []*rule {
	return slices.SortedFunc(maps.Values(r.byName), func(a, b *rule) int { return strings.Compare(a.name, b.name) })
}

// resolve leads every reference to its rule.
func (r *rules) resolve() (problems []error) {
	for _, from := range r.sorted() {
		references(from.check, func(to *reference) {
			if to.rule = r.named(to.name); to.rule != nil {
				return
			}
			hint := ""
			if name, ok := nearest.To(to.name, slices.Collect(maps.Keys(r.byName))); ok {
				hint = fmt.Sprintf("; did you mean rule:%s?", name)
			}
			problems = append(problems, fmt.Errorf("%s refers to rule:%s, which nobody defines%s", from.at(), to.name, hint))
		})
	}
	return problems
}

// circles finds rules that refer to themselves, in one step or many.
func (r *rules) circles() (problems []error) {
	const walking, done = 1, 2
	state := make(map[*rule]int)
	var way []string
	var walk func(*rule)
	walk = func(at *rule) {
		switch state[at] {
		case done:
			return
		case walking:
			circle := append(slices.Clone(way[slices.Index(way, at.name):]), at.name)
			problems = append(problems, fmt.Errorf("%s refers to itself: %s", at.at(), strings.Join(circle, " -> ")))
			return
		}
		state[at] = walking
		way = append(way, at.name)
		references(at.check, func(to *reference) {
			if to.rule != nil {
				walk(to.rule)
			}
		})
		way = way[:len(way)-1]
		state[at] = done
	}
	for _, each := range r.sorted() {
		walk(each)
	}
	return problems
}

// warn tells about rules of files by names that neither the program nor another rule uses: whoever wrote them may
// believe that they protect something.
func (r *rules) warn(c *Config) {
	used := map[string]bool{c.DefaultRule: true}
	names := make([]string, len(c.Defaults))
	for i, d := range c.Defaults {
		used[d.Name] = true
		names[i] = d.Name
	}
	for _, each := range r.byName {
		references(each.check, func(to *reference) { used[to.name] = true })
	}
	for _, each := range r.sorted() {
		if used[each.name] {
			continue
		}
		attributes := []any{"rule", each.name, "position", each.where}
		if name, ok := nearest.To(each.name, names); ok {
			attributes = append(attributes, "did_you_mean", name)
		}
		c.Logger.Warn("a policy file has a rule that nobody asks for", attributes...)
	}
}
