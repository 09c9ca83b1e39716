package paste

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/goslo/goslo/internal/nearest"
)

// A FilterFactory makes a filter: what paste.filter_factory and paste.filter_app_factory name. It runs once for each place at
// which a pipeline names the filter, also when the load fails in the end for another reason, and so starts nothing.
type FilterFactory func(Settings) (func(http.Handler) http.Handler, error)

// An AppFactory makes the application at the end of a pipeline: what paste.app_factory names. It starts nothing either.
type AppFactory func(Settings) (http.Handler, error)

// A CompositeFactory makes an application of others, which it loads: what paste.composite_factory names. It loads all that it
// needs before it returns what errors.Join makes of the errors, so that they are told at once.
type CompositeFactory func(*Loader, Settings) (http.Handler, error)

// Factories are those that files may name. The keys are what stands in the file: "module:attribute", as in
// "oslo_middleware.cors:filter_factory", for paste.filter_factory and the like and for use = call:..., and
// "egg:Distribution#name", as in "egg:Paste#urlmap", where the distribution is written in any of the ways that Python takes
// for the same. The zero value knows none.
type Factories struct {
	Filters    map[string]FilterFactory
	Apps       map[string]AppFactory
	Composites map[string]CompositeFactory
}

// With returns the factories of f and more. Of the same name, the last counts.
func (f Factories) With(more ...Factories) Factories {
	all := Factories{make(map[string]FilterFactory), make(map[string]AppFactory), make(map[string]CompositeFactory)}
	for _, m := range append([]Factories{f}, more...) {
		maps.Copy(all.Filters, m.Filters)
		maps.Copy(all.Apps, m.Apps)
		maps.Copy(all.Composites, m.Composites)
	}
	return all
}

// Removed returns the factory of a filter that upstream has removed: an error that says why, at the place that names it.
func Removed(why string) FilterFactory {
	return func(s Settings) (func(http.Handler) http.Handler, error) {
		return nil, s.Errorf("%s: %s", s.Factory(), why)
	}
}

// normal returns f with the names of distributions as canonical has them.
func (f Factories) normal() Factories {
	return Factories{normalKeys(f.Filters), normalKeys(f.Apps), normalKeys(f.Composites)}
}

func normalKeys[F any](m map[string]F) map[string]F {
	normal := make(map[string]F, len(m))
	for name, f := range m {
		normal[canonical(name)] = f
	}
	return normal
}

var separators = regexp.MustCompile(`[-_.]+`)

// canonical writes the distribution of egg:Distribution#name as Python compares it: PEP 503.
func canonical(name string) string {
	spec, ok := strings.CutPrefix(name, "egg:")
	if !ok {
		return name
	}
	distribution, entry, _ := strings.Cut(spec, "#")
	if entry == "" {
		entry = "main"
	}
	return "egg:" + strings.ToLower(separators.ReplaceAllString(distribution, "-")) + "#" + entry
}

// unknown says that a factory of one of the kinds is not there.
func (f Factories) unknown(name string, kinds ...kind) string {
	var candidates []string
	others := map[kind]bool{filterKind: has(f.Filters, name), appKind: has(f.Apps, name), compositeKind: has(f.Composites, name)}
	for _, k := range kinds {
		delete(others, k)
		switch k {
		case filterKind:
			candidates = slices.AppendSeq(candidates, maps.Keys(f.Filters))
		case appKind:
			candidates = slices.AppendSeq(candidates, maps.Keys(f.Apps))
		case compositeKind:
			candidates = slices.AppendSeq(candidates, maps.Keys(f.Composites))
		}
	}
	for _, k := range []kind{filterKind, appKind, compositeKind} {
		if others[k] {
			return "the " + string(kinds[0]) + " factory " + name + " is not known; there is " + article(k) + " factory of that name"
		}
	}
	reason := "the " + string(kinds[0]) + " factory " + name + " is not known to this program"
	if near, ok := nearest.Slip(name, candidates); ok {
		reason += "; did you mean " + near + "?"
	}
	return reason
}

func article(k kind) string {
	if k == appKind {
		return "an app"
	}
	return "a " + string(k)
}

func has[F any](m map[string]F, name string) bool {
	_, ok := m[name]
	return ok
}

// A kind is what a factory makes, as files call it.
type kind string

const (
	filterKind    kind = "filter"
	appKind       kind = "app"
	compositeKind kind = "composite"
)
