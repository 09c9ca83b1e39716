package config

import (
	"slices"
	"strings"
)

// Option returns one option as text, the way other options refer to it, and where it is given: path:line,
// $OS_GROUP__OPTION, --flag or "default". Both are "" when it has no value. It is for libraries whose options stand in the
// program's files: unlike [Config.Settings] it tells secrets, and the option need not be declared. One that is not has
// the text that the environment or the last file gives, with references filled in.
//
// The error is a *[Problem]: a reference to an option that is nowhere, or back to itself.
func (c *Config[T]) Option(group, name string) (value, from string, err error) {
	state, s := c.state.Load(), c.loader.schema
	declared := key{normalGroup(group), underscored(name)}
	if o := s.byKey[declared]; o != nil {
		res := state.results[o]
		if !res.value.IsValid() {
			return "", "", nil
		}
		return res.text, res.setting(o).From, nil
	}
	if s.byOld[declared] != nil { // its value is that of the option's present name
		return "", "", nil
	}
	r := c.loader.resolver(state)
	r.shared = true
	k := key{normalGroup(group), name}
	given, ok := r.undeclared(k)
	if !ok {
		return "", "", nil
	}
	if value, err = r.text(&result{hidden: true}, k, given); err != nil {
		return "", given.from, &Problem{Position: given.from, Group: group, Option: name, Reason: err.Error()}
	}
	return value, given.from, nil
}

// Names returns which options of a group somebody gives, sorted: those declared by their present names, wherever they are
// given and by the program's own defaults too, and, where the group is shared or none of its options is declared, the others
// that stand in files.
func (c *Config[T]) Names(group string) []string {
	group = normalGroup(group)
	state, s := c.state.Load(), c.loader.schema
	var names []string
	open := true // undeclared options of the group count
	for k, o := range s.byKey {
		if k.group != group {
			continue
		}
		open = o.group.shared
		if from := state.results[o].setting(o).From; from != fromDefault || o.fallback.value.IsValid() {
			names = append(names, k.name)
		}
	}
	for _, f := range state.files {
		for k := range f.options() {
			if open && k.group == group && s.byKey[k] == nil && s.byOld[k] == nil {
				names = append(names, k.name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// A givenText is what the environment or a file gives for an option that is not declared.
type givenText struct{ text, from string }

func (r *resolver) undeclared(k key) (givenText, bool) {
	name := envName(k.group, k.name)
	if text, ok := r.env(name); ok {
		return givenText{text, "$" + name}, true
	}
	for _, f := range slices.Backward(r.files) {
		if e, ok := f.last(k); ok {
			return givenText{e.value, f.at(e)}, true
		}
	}
	return givenText{}, false
}

// envName is the variable that sets an option; see oslo_config/sources/_environment.py, get_name.
func envName(group, name string) string {
	return "OS_" + strings.ToUpper(group) + "__" + strings.ToUpper(underscored(name))
}

// Values is [Config.Option] for an option that may be given several times, one value each time: the values in their order, and where the
// last is given. One that is declared and not multi-valued has its one text.
func (c *Config[T]) Values(group, name string) (values []string, from string, err error) {
	state, s := c.state.Load(), c.loader.schema
	declared := key{normalGroup(group), underscored(name)}
	o := s.byKey[declared]
	if o != nil && o.multi {
		res := state.results[o]
		if !res.value.IsValid() {
			return nil, "", nil
		}
		for i := range res.value.Len() {
			values = append(values, format(res.value.Index(i)))
		}
		return values, res.setting(o).From, nil
	}
	k := key{normalGroup(group), name}
	if _, env := c.loader.resolver(state).env(envName(k.group, k.name)); o != nil || s.byOld[declared] != nil || env {
		text, from, err := c.Option(group, name)
		if text == "" || err != nil {
			return nil, from, err
		}
		return []string{text}, from, nil
	}
	r := c.loader.resolver(state)
	r.shared = true
	for _, f := range state.files {
		for _, e := range f.all(k) {
			from = f.at(e)
			text, err := r.text(&result{hidden: true}, k, givenText{e.value, from})
			if err != nil {
				return nil, from, &Problem{Position: from, Group: group, Option: name, Reason: err.Error()}
			}
			values = append(values, text)
		}
	}
	return values, from, nil
}
