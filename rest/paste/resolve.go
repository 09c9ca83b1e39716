package paste

import (
	"errors"
	"maps"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goslo/goslo/internal/nearest"
)

// A loader finds the sections of one file. Its rules are those of paste/deploy/loadwsgi.py.
type loader struct {
	run      *run
	text     *text
	defaults *dict // of all sections, as they stand there
	path     *step // how we came here; nil: from the program
}

// A step is a section on the way from the program to the one that is being looked at.
type step struct {
	up      *step
	path    string
	section string
}

// A reference is the place that names something.
type reference struct {
	at      position
	section string
	setting string
}

func (r reference) problem(reason string, args ...any) *Problem {
	p := problem(r.at, r.section, reason, args...)
	if r.setting != "" {
		p.Reason = r.setting + ": " + p.Reason
	}
	return p
}

var scheme = regexp.MustCompile(`^[a-zA-Z]+:`)

// context finds what name means: an app or a filter. given are the settings of all sections; nil: those of the file.
func (l *loader) context(k kind, name string, given *dict, from reference) *node {
	if scheme.MatchString(name) {
		return l.elsewhere(k, name, given, from)
	}
	s, err := l.find(k, name, from)
	if err != nil {
		return broken(err)
	}
	return l.section(k, s, given)
}

// elsewhere finds what is not in this file.
func (l *loader) elsewhere(k kind, name string, given *dict, from reference) *node {
	kindOf, spec, _ := strings.Cut(name, ":")
	global := &dict{}
	if given != nil {
		global = given.clone()
	}
	leaf := &node{loader: l, object: k, from: from, global: global, local: &dict{}}
	switch strings.ToLower(kindOf) {
	case "config":
		return l.other(k, spec, given, from)
	case "egg":
		leaf.factory, leaf.kinds = canonical("egg:"+spec), []kind{k}
		if k == appKind {
			leaf.kinds = []kind{appKind, compositeKind}
		}
		return leaf
	case "call":
		if strings.Count(spec, ":") != 1 {
			return broken(from.problem("%q is not written call:module:attribute", name))
		}
		leaf.factory = spec
		return leaf
	}
	return broken(from.problem("%q begins with %s:, which is none of egg:, call: and config:", name, kindOf))
}

// other finds a section of another file: config:other.ini#name.
func (l *loader) other(k kind, spec string, given *dict, from reference) *node {
	path, name, named := strings.Cut(spec, "#")
	if !named {
		name = "main"
	}
	path, err := url.PathUnescape(strings.ReplaceAll(path, `\`, "/"))
	if err != nil {
		return broken(from.problem("%q is not a path: %v", spec, err))
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(l.text.path), path)
	}
	if given == nil {
		given = &dict{}
	}
	there, err := l.run.file(path, given)
	if err != nil {
		var p *Problem
		if errors.As(err, &p) && p.Line == 0 { // it is not there at all: that is wrong here
			return broken(from.problem("%s %s", path, p.Reason))
		}
		return broken(err)
	}
	there.path = l.path
	return there.context(k, name, given, from)
}

// prefixes of the sections that may be what is looked for; of those in one row, the first that is there counts.
var prefixes = map[kind][][]string{
	appKind:    {{"app", "application"}, {"composite", "composit"}, {"pipeline"}, {"filter-app"}},
	filterKind: {{"filter"}},
}

func (l *loader) find(k kind, name string, from reference) (*section, error) {
	var found []*section
	for _, row := range prefixes[k] {
		for _, prefix := range row {
			var here []*section
			for _, s := range l.text.sections {
				if rest, ok := strings.CutPrefix(s.name, prefix+":"); ok && strings.TrimFunc(rest, isSpace) == name {
					here = append(here, s)
				}
			}
			found = append(found, here...)
			if here != nil {
				break
			}
		}
	}
	switch len(found) {
	case 0:
		return nil, from.problem("%s", l.missing(k, name))
	case 1:
		return found[0], nil
	}
	names := make([]string, len(found))
	for i, s := range found {
		names[i] = "[" + s.name + "] in line " + strconv.Itoa(s.at.line)
	}
	return nil, from.problem("%q may be %s", name, strings.Join(names, " or "))
}

// missing says that no section is what is looked for.
func (l *loader) missing(k kind, name string) string {
	var same, candidates []string
	for _, s := range l.text.sections {
		prefix, rest, _ := strings.Cut(s.name, ":")
		rest = strings.TrimFunc(rest, isSpace)
		if slices.Contains(slices.Concat(prefixes[k]...), prefix) {
			candidates = append(candidates, rest)
		} else if rest == name {
			same = append(same, "["+s.name+"]")
		}
	}
	reason := "there is no filter " + name + " in " + l.text.path
	if k == appKind {
		reason = "there is no app, composite, pipeline or filter-app " + name + " in " + l.text.path
	}
	if near, ok := nearest.To(name, candidates); ok {
		reason += "; did you mean " + near + "?"
	} else if same != nil {
		reason += ", but " + strings.Join(same, ", ")
	}
	return reason
}

// section reads what a section says of an app or a filter.
func (l *loader) section(k kind, s *section, given *dict) *node {
	here := reference{at: s.at, section: s.name}
	if err := l.cycle(s); err != nil {
		return broken(err)
	}
	in := *l
	in.path = &step{l.path, l.text.path, s.name}
	l = &in

	global, local, additions, err := l.settings(s, given)
	if err != nil {
		return broken(err)
	}
	with, filtered := local.take("filter-with")
	if required, ok := local.take("require"); ok {
		l.run.warn(required.at, s.name, "require", "Python's distributions mean nothing here")
	}
	var n *node
	switch {
	case strings.HasPrefix(s.name, "filter-app:"):
		n = l.filterApp(s, global, local, additions)
	case strings.HasPrefix(s.name, "pipeline:"):
		n = l.pipeline(s, global, local)
	default:
		n = l.leaf(k, s, global, local, additions)
	}
	if !filtered {
		return n
	}
	filter := l.context(filterKind, with.text, global, reference{with.at, s.name, "filter-with"})
	return &node{loader: l, object: k, from: here, global: global, local: local, filters: []*node{filter}, next: n, passes: true}
}

// cycle says that a section is on the way to itself.
func (l *loader) cycle(s *section) error {
	way := []string{s.name}
	for at := l.path; at != nil; at = at.up {
		way = append(way, at.section)
		if at.section == s.name && at.path == l.text.path {
			slices.Reverse(way)
			return problem(s.at, s.name, "leads back to itself: %s", strings.Join(way, " -> "))
		}
	}
	return nil
}

// settings fills in what a section sets for itself and for all below it. additions are what it sets for the latter.
func (l *loader) settings(s *section, given *dict) (global, local, additions *dict, err error) {
	global, err = l.filledDefaults()
	errs := []error{err}
	known := maps.Clone(global.values)
	if given != nil {
		global.update(given)
	}
	local, additions = &dict{}, &dict{}
	var borrowed dict
	all := s.options.clone()
	for _, name := range l.defaults.names {
		if _, ok := all.get(name); !ok {
			all.set(name, l.defaults.values[name])
		}
	}
	for _, name := range all.names {
		rest, setting := strings.CutPrefix(name, "set ")
		from, borrowing := strings.CutPrefix(name, "get ")
		_, everywhere := known[name]
		if everywhere && !setting && !borrowing {
			if own, ok := s.options.get(name); ok {
				l.run.warn(own.at, s.name, name, "[DEFAULT], or who loads the file, gives it already; write set "+name+" = ... to change it here")
			}
			continue
		}
		v, err := l.get(s, name, all)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		switch {
		case setting:
			rest = strings.TrimFunc(rest, isSpace)
			global.set(rest, v)
			additions.set(rest, v)
		case borrowing:
			borrowed.set(strings.TrimFunc(from, isSpace), v)
		default:
			local.set(name, v)
		}
	}
	for _, name := range borrowed.names {
		want := borrowed.values[name]
		v, ok := global.get(want.text)
		if !ok {
			errs = append(errs, problem(want.at, s.name, "get %s: no setting of all sections is called %s", name, want.text))
			continue
		}
		local.set(name, v)
	}
	return global, local, additions, errors.Join(errs...)
}

// get fills in a setting of a section.
func (l *loader) get(s *section, name string, all *dict) (value, error) {
	v := all.values[name]
	text, err := interpolate(v, all.get)
	if err != nil {
		return value{}, problem(v.at, s.name, "%s: %v", name, err)
	}
	return value{text: text, at: v.at, literal: true}, nil
}

// filledDefaults fills in [DEFAULT].
func (l *loader) filledDefaults() (*dict, error) {
	filled := &dict{}
	var errs []error
	for _, name := range l.defaults.names {
		v := l.defaults.values[name]
		text, err := interpolate(v, l.defaults.get)
		if err != nil {
			errs = append(errs, problem(v.at, "DEFAULT", "%s: %v", name, err))
		}
		if text == "" {
			text = v.text // as in NicerConfigParser.defaults
		}
		filled.set(name, value{text: text, at: v.at, literal: true})
	}
	return filled, errors.Join(errs...)
}

// filterApp is a section that puts a filter before the app called next.
func (l *loader) filterApp(s *section, global, local, additions *dict) *node {
	next, ok := local.take("next")
	if !ok {
		return broken(problem(s.at, s.name, "the section has no setting next, which names the app behind the filter"))
	}
	app := l.context(appKind, next.text, global, reference{next.at, s.name, "next"})
	filter := l.leaf(filterKind, s, global, local, additions)
	return &node{loader: l, object: appKind, from: reference{at: s.at, section: s.name}, global: global, local: &dict{}, filters: []*node{filter}, next: app}
}

// pipeline is a section that puts filters before an app.
func (l *loader) pipeline(s *section, global, local *dict) *node {
	names, ok := local.take("pipeline")
	if !ok {
		return broken(problem(s.at, s.name, "the section has no setting pipeline, which names filters and an app"))
	}
	var errs []error
	for _, name := range local.names {
		errs = append(errs, problem(local.values[name].at, s.name, "%s: a pipeline has no settings but pipeline, set, get and filter-with", name))
	}
	from := reference{names.at, s.name, "pipeline"}
	all := strings.FieldsFunc(names.text, isSpace)
	if len(all) == 0 {
		errs = append(errs, from.problem("there is no app at the end"))
	}
	n := &node{loader: l, object: appKind, from: from, global: global, local: &dict{}, err: errors.Join(errs...)}
	for i, name := range all {
		if i == len(all)-1 {
			n.next = l.context(appKind, name, global, from)
			break
		}
		n.filters = append(n.filters, l.context(filterKind, name, global, from))
	}
	return n
}

// leaf is a section that names a factory, or by use another section that does.
func (l *loader) leaf(k kind, s *section, global, local, additions *dict) *node {
	use, ok := local.take("use")
	if !ok {
		return l.explicit(k, s, global, local)
	}
	n := l.context(k, use.text, global, reference{use.at, s.name, "use"})
	if n.err != nil && n.global == nil {
		return n
	}
	n.global.update(additions)
	n.local.update(local)
	if v, ok := global.get("__file__"); ok {
		n.global.set("__file__", v)
	}
	n.loader, n.by = l, s
	if n.kinds == nil && n.factory != "" { // call: leaves to the section what it is
		n.kinds = []kind{k}
		if strings.HasPrefix(s.name, "composit") {
			n.kinds = []kind{compositeKind}
		}
	}
	return n
}

// explicit is a section with a paste.*_factory.
func (l *loader) explicit(k kind, s *section, global, local *dict) *node {
	protocols := [][]string{{"paste.app_factory"}, {"paste.composite_factory"}, {"paste.composit_factory"}}
	if k == filterKind {
		protocols = [][]string{{"paste.filter_factory", "paste.filter_app_factory"}}
	}
	var found []string
	for _, row := range protocols {
		for _, name := range row {
			if _, ok := local.get(name); ok {
				found = append(found, name)
				break
			}
		}
	}
	switch {
	case len(found) > 1:
		return broken(problem(s.at, s.name, "the section has %s, of which one is too many", strings.Join(found, " and ")))
	case len(found) == 0 && k == filterKind:
		return broken(problem(s.at, s.name, "the section names no factory: it has neither use nor paste.filter_factory"))
	case len(found) == 0:
		return broken(problem(s.at, s.name, "the section names no factory: it has neither use nor paste.app_factory nor paste.composite_factory"))
	}
	named, _ := local.take(found[0])
	from := reference{named.at, s.name, found[0]}
	factory, ok := attribute(named.text)
	if !ok {
		return broken(from.problem("%q is not written module:attribute", named.text))
	}
	n := &node{loader: l, object: k, from: from, by: s, global: global, local: local, factory: factory, kinds: []kind{k}}
	if strings.HasPrefix(found[0], "paste.composit") {
		n.kinds = []kind{compositeKind}
	}
	return n
}

// entryPoint is how importlib.metadata reads module:attribute.
var entryPoint = regexp.MustCompile(`^([\w.]+)\s*(?::\s*([\w.]+)\s*)?(?:\[.*\]\s*)?$`)

func attribute(text string) (name string, ok bool) {
	m := entryPoint.FindStringSubmatch(text)
	if m == nil || m[2] == "" {
		return "", false
	}
	return m[1] + ":" + m[2], true
}
