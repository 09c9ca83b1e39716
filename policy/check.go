package policy

import (
	"slices"
	"strings"
)

// A check is a node of a parsed rule.
type check interface {
	allows(q *question) bool
	String() string // in the language, such that it parses to the same check
}

// A question is what a rule is asked about.
type question struct {
	who    Credentials
	target Target
}

type (
	constant bool
	not      struct{ of check }
	all      []check // of these; at least one
	either   []check // of these; at least one
	// A reference is rule:NAME. A set of rules resolves it before anybody asks.
	reference struct {
		name string
		rule *rule
	}
	role    struct{ match template }
	literal struct {
		kind  string // as it was written
		value string // as Python's str writes it
		match template
	}
	credential struct {
		path  []string
		match template
	}
)

func (c constant) allows(*question) bool { return bool(c) }

func (c constant) String() string {
	if c {
		return "@"
	}
	return "!"
}

func (c not) allows(q *question) bool { return !c.of.allows(q) }
func (c not) String() string          { return "not " + c.of.String() }

func (c all) allows(q *question) bool {
	return !slices.ContainsFunc(c, func(each check) bool { return !each.allows(q) })
}

func (c all) String() string { return joined(c, " and ") }

func (c either) allows(q *question) bool {
	return slices.ContainsFunc(c, func(each check) bool { return each.allows(q) })
}

func (c either) String() string { return joined(c, " or ") }

func joined(checks []check, by string) string {
	texts := make([]string, len(checks))
	for i, c := range checks {
		texts[i] = c.String()
	}
	return "(" + strings.Join(texts, by) + ")"
}

func (c *reference) allows(q *question) bool { return c.rule.check.allows(q) }
func (c *reference) String() string          { return "rule:" + c.name }

func (c role) allows(q *question) bool {
	want, ok := c.match.expand(q.target)
	if !ok {
		return false
	}
	want = strings.ToLower(want)
	return slices.ContainsFunc(elements(q.who["roles"]), func(has any) bool {
		name, ok := has.(string)
		return ok && strings.ToLower(name) == want
	})
}

func (c role) String() string { return "role:" + c.match.text }

func (c literal) allows(q *question) bool {
	want, ok := c.match.expand(q.target)
	return ok && want == c.value
}

func (c literal) String() string { return c.kind + ":" + c.match.text }

func (c credential) allows(q *question) bool {
	want, ok := c.match.expand(q.target)
	return ok && found(map[string]any(q.who), c.path, want)
}

func (c credential) String() string { return strings.Join(c.path, ".") + ":" + c.match.text }

// found reports whether want is what path leads to from value.
func found(value any, path []string, want string) bool {
	if len(path) == 0 {
		text, ok := scalar(value)
		return ok && text == want
	}
	members, ok := value.(map[string]any)
	if !ok {
		return false
	}
	member, ok := members[path[0]]
	if !ok {
		return false
	}
	if list := elements(member); list != nil {
		return slices.ContainsFunc(list, func(each any) bool { return found(each, path[1:], want) })
	}
	return found(member, path[1:], want)
}

// references calls each for all references within c.
func references(c check, each func(*reference)) {
	switch c := c.(type) {
	case *reference:
		each(c)
	case not:
		references(c.of, each)
	case all:
		for _, part := range c {
			references(part, each)
		}
	case either:
		for _, part := range c {
			references(part, each)
		}
	}
}
