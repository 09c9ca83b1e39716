package paste

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/goslo/goslo/internal/nearest"
)

// Choose returns the composite factory of sections whose settings are pipelines, of which the program takes one: the first
// of names that the section has. So nova.api.auth:pipeline_factory takes the one of auth_strategy, cinder's that of auth_strategy with
// "_nolimit" first where api_rate_limit is off, and heat's that of flavor, or else "default".
//
// The others are not looked at, and may name what the program does not know.
func Choose(names ...string) CompositeFactory {
	return func(l *Loader, s Settings) (http.Handler, error) {
		var have []string
		for each := range s.Local() { // those that are not chosen are no mistake
			have = append(have, each.Name)
		}
		for _, name := range names {
			if slices.Contains(have, name) {
				chosen, _ := s.Lookup(name)
				return l.pipeline(chosen)
			}
		}
		wanted := strings.Join(names, " or ")
		if len(have) == 0 {
			return nil, s.Errorf("the section has no pipeline %s, and none at all", wanted)
		}
		hint := ""
		if near, ok := nearest.To(names[len(names)-1], have); ok {
			hint = "; did you mean " + near + "?"
		}
		return nil, s.Errorf("the section has no pipeline %s, but %s%s", wanted, strings.Join(have, ", "), hint)
	}
}

// pipeline loads filters and the app behind them.
func (l *Loader) pipeline(from Setting) (http.Handler, error) {
	names := strings.FieldsFunc(from.Value, isSpace)
	if len(names) == 0 {
		return nil, from.Errorf("there is no app at the end")
	}
	last := len(names) - 1
	var errs []error
	filters := make([]func(http.Handler) http.Handler, last)
	for i, name := range names[:last] {
		var err error
		filters[i], err = l.Filter(from, name)
		errs = append(errs, err)
	}
	app, err := l.App(from, names[last])
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	for _, f := range slices.Backward(filters) {
		app = f(app)
	}
	return app, nil
}
