package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/goslo/goslo/internal/nearest"
)

// A resolver finds the value of each option in what was read.
type resolver struct {
	schema  *schema
	line    *commandLine
	env     func(string) (string, bool)
	files   []*File // the last one wins
	shared  bool    // the files are somebody else's too
	results map[*option]*result
	told    []*Problem   // warnings
	within  map[key]bool // undeclared options that are being filled in
}

// A result is what became of one option.
type result struct {
	raw    given
	value  reflect.Value // invalid when there is none
	text   string        // of the value as other options refer to it
	hidden bool          // it holds a secret
	err    error         // a *Problem
	busy   bool          // being found: a reference to it goes around in a circle
}

// given is what somebody gave for an option: nothing, one text, or several of a multi-valued one.
type given struct {
	texts []string
	from  []string // of each text: path:line, $NAME, --flag or "default"
}

func (r *resolver) resolveAll() []error {
	var errs []error
	for _, o := range r.schema.options {
		if err := r.resolve(o).err; err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func (r *resolver) resolve(o *option) *result {
	if res := r.results[o]; res != nil {
		return res
	}
	res := &result{raw: r.find(o), hidden: o.secret, busy: true}
	r.results[o] = res
	r.read(o, res)
	res.busy = false
	switch missing := res.err == nil && !res.value.IsValid() && o.required; {
	case missing && len(res.raw.texts) == 0:
		res.err = &Problem{Group: o.group.name, Option: o.name, Reason: "a value is required, and nobody gives one"}
	case missing:
		res.err = r.problem(o, res, errors.New("a value is required, and this is none"))
	}
	return res
}

// read finds what the texts of res mean.
func (r *resolver) read(o *option, res *result) {
	if len(res.raw.texts) == 0 {
		if res.value = o.fallback.value; res.value.IsValid() {
			res.text = python(res.value, format(res.value))
		}
		return
	}
	texts := slices.Clone(res.raw.texts)
	for i, text := range texts {
		filled, err := substitute(text, func(name string) (string, error) { return r.refer(o.group.name, res, name) })
		if err != nil {
			res.err = r.problem(o, res, &itemError{i, err})
			return
		}
		texts[i] = filled
	}
	value, err := o.kind.read(texts)
	if err != nil {
		res.err = r.problem(o, res, err)
		return
	}
	if !value.IsValid() && !o.kind.nilable {
		value = o.fallback.blank // it is None in oslo, which the field cannot be
	}
	res.value = value
	res.text = python(value, strings.Join(texts, ","))
}

const fromDefault = "default"

func (r *resolver) problem(o *option, res *result, err error) *Problem {
	var (
		item    *itemError
		quoting *quotingError
		i       = len(res.raw.texts) - 1
	)
	if errors.As(err, &item) {
		i = item.index
	}
	p := &Problem{Position: res.raw.from[i], Group: o.group.name, Option: o.name, Reason: err.Error()}
	if p.Position == fromDefault {
		p.Position = ""
	}
	switch {
	case !res.hidden:
		p.Value = res.raw.texts[i]
	case errors.As(err, &quoting):
		p.Reason = "not valid"
	}
	return p
}

// errNoReference does not tell the name, which is a piece of a password with a dollar sign in it more often than not.
var errNoReference = errors.New("the name after $ is no option; write $$ for a dollar sign")

// refer returns what $name stands for in a value of a group, on the way to one of from: an option of that group or of
// [DEFAULT], or with a dot one of another group. Where files are shared, an option that only others know stands for its
// text.
func (r *resolver) refer(group string, from *result, name string) (string, error) {
	groups, option := []string{group, Default}, name
	if group, rest, dotted := strings.Cut(name, "."); dotted {
		switch {
		case group == Default && from.hidden:
			return "", errNoReference
		case group == Default:
			return "", fmt.Errorf("$%s: options of [DEFAULT] are written without their group: $%s", name, rest)
		}
		groups, option = []string{group}, rest
	}
	for _, group := range groups {
		k := key{normalGroup(group), option}
		target := r.schema.byKey[k]
		if target == nil {
			target = r.schema.byOld[k]
		}
		if target == nil {
			continue
		}
		res := r.resolve(target)
		switch {
		case res.busy:
			return "", fmt.Errorf("$%s refers back to this option", name)
		case res.err != nil:
			return "", fmt.Errorf("$%s has no valid value", name)
		}
		from.hidden = from.hidden || res.hidden
		return res.text, nil
	}
	if r.shared {
		for _, group := range groups {
			if text, ok, err := r.foreign(from, key{normalGroup(group), option}); ok || err != nil {
				return text, err
			}
		}
	}
	if from.hidden {
		return "", errNoReference
	}
	return "", fmt.Errorf("$%s is no option of [%s]; write $$ for a dollar sign", name, strings.Join(slices.Compact(groups), "] or ["))
}

// foreign is the text of an option that is not declared. It may be anything, a secret too.
func (r *resolver) foreign(from *result, k key) (text string, ok bool, err error) {
	given, ok := r.undeclared(k)
	if !ok {
		return "", false, nil
	}
	from.hidden = true
	text, err = r.text(from, k, given)
	return text, true, err
}

// text fills in the references in the text of an option that is not declared.
func (r *resolver) text(from *result, k key, given givenText) (string, error) {
	if r.within[k] {
		return "", fmt.Errorf("$%s refers back to itself", k.name)
	}
	r.within[k] = true
	defer delete(r.within, k)
	return substitute(given.text, func(name string) (string, error) { return r.refer(k.group, from, name) })
}

// find returns what is given for o, by whom wins.
func (r *resolver) find(o *option) given {
	if texts := r.line.flags[o]; len(texts) > 0 {
		return given{texts, slices.Repeat([]string{"--" + o.flagName()}, len(texts))}
	}
	if text, ok := r.env(o.env()); ok {
		return given{[]string{text}, []string{"$" + o.env()}}
	}
	if g := r.inFiles(o); len(g.texts) > 0 {
		return g
	}
	if !o.fallback.has || o.fallback.value.IsValid() {
		return given{}
	}
	texts := o.defaultTexts()
	return given{texts, slices.Repeat([]string{fromDefault}, len(texts))}
}

// inFiles mirrors oslo_config/cfg.py, _get_file_value: the last file that has the option under any of its names wins, and in
// it the current name; a multi-valued option gathers them all.
func (r *resolver) inFiles(o *option) given {
	var g given
	for _, f := range slices.Backward(r.files) {
		for i, k := range append([]key{o.key()}, o.old...) {
			entries := f.all(k)
			if len(entries) == 0 {
				continue
			}
			r.warnOutdated(o, f.at(entries[len(entries)-1]), k, i > 0)
			if !o.multi {
				last := entries[len(entries)-1]
				return given{[]string{last.value}, []string{f.at(last)}}
			}
			var here given
			for _, e := range entries {
				here.texts, here.from = append(here.texts, e.value), append(here.from, f.at(e))
			}
			g = given{append(here.texts, g.texts...), append(here.from, g.from...)}
		}
	}
	return g
}

func (r *resolver) warnOutdated(o *option, position string, k key, old bool) {
	switch {
	case o.docs.removal != "": // then its new name is no use
		r.warn(position, k.group, k.name, "will be removed: "+o.docs.removal)
	case old:
		r.warn(position, k.group, k.name, "an old name; write "+underscored(o.name)+" in ["+o.group.name+"]")
	}
}

func (r *resolver) warn(position, group, option, reason string) {
	r.told = append(r.told, &Problem{Position: position, Group: group, Option: option, Reason: reason, Warning: true})
}

// warnUnknown finds options that nobody declared in groups that somebody did, or perhaps meant.
func (r *resolver) warnUnknown() {
	names := make(map[string][]string)
	shared := make(map[string]bool)
	for _, g := range r.schema.groups {
		names[normalGroup(g.name)] = nil
		shared[normalGroup(g.name)] = g.shared
	}
	for k := range r.schema.byKey {
		names[k.group] = append(names[k.group], k.name)
	}
	for k := range r.schema.byOld {
		if _, known := names[k.group]; !known {
			names[k.group], shared[k.group] = nil, true // it was somebody's once, and may still be
		}
	}
	for _, f := range r.files {
		for k, entries := range f.options() {
			known, ours := names[k.group]
			if !ours || r.schema.byKey[k] != nil || r.schema.byOld[k] != nil || k == configSource {
				continue
			}
			suggest := nearest.To
			if shared[k.group] {
				suggest = nearest.Slip // the names of others are alike too
			}
			reason := "no such option"
			near, ok := suggest(k.name, known)
			switch {
			case ok:
				reason += "; did you mean " + near + "?"
			case shared[k.group]:
				continue
			}
			r.warn(f.at(entries[0]), k.group, k.name, reason)
		}
		r.warnGroups(f, slices.Sorted(maps.Keys(names)))
	}
	slices.SortFunc(r.told, byPosition)
}

// warnGroups finds groups whose name is a slip, such as [default], which is not [DEFAULT]; each once.
func (r *resolver) warnGroups(f *File, known []string) {
	first := make(map[string]key) // option of each such group
	for k, entries := range f.options() {
		other, ok := first[k.group]
		if !slices.Contains(known, k.group) && (!ok || entries[0].line < f.all(other)[0].line) {
			first[k.group] = k
		}
	}
	for group, k := range first {
		if near, ok := nearest.Slip(group, known); ok {
			r.warn(f.at(f.all(k)[0]), k.group, k.name, "no such group; did you mean ["+near+"]?")
		}
	}
}

// setting shows a result.
func (res *result) setting(o *option) Setting {
	s := Setting{Group: o.group.name, Name: o.name, From: fromDefault}
	if n := len(res.raw.from); n > 0 {
		s.From = res.raw.from[n-1]
	}
	if !res.value.IsValid() {
		return s
	}
	s.Value = format(res.value)
	if res.hidden && s.Value != "" {
		s.Value = mask
	}
	return s
}
