package paste

import (
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
)

// Config says what to load. Path and Factories are required.
type Config struct {
	// Path is the file, such as /etc/nova/api-paste.ini.
	Path string
	// Name is that of the application: of an app, composite, pipeline or filter-app section. Default: "main".
	Name string
	// Globals are settings of all sections, in addition to [DEFAULT], and before it where both have one. Default: none.
	Globals map[string]string
	// Factories are those that the file may name.
	Factories Factories
	// Logger hears about settings that have no effect. Default: nothing is logged.
	Logger *slog.Logger
}

// App loads the application. The error joins a *[Problem] for each thing that is wrong with what the application is made
// of: other sections of the file may name factories that the program does not have.
func (c Config) App() (http.Handler, error) {
	l, given, err := c.open()
	if err != nil {
		return nil, inOrder(err)
	}
	name := c.Name
	if name == "" {
		name = "main"
	}
	app, err := l.context(appKind, name, given, reference{at: position{path: l.text.path}}).app()
	if err != nil {
		return nil, inOrder(err)
	}
	return app, nil
}

// Check looks at every section of the file, whether an application needs it or not, without running a factory: for
// factories that are not known, sections that are not there, and what else is wrong. What composite sections refer to is
// known to their factories only, and passed over. The error is as that of [Config.App].
func (c Config) Check() error {
	l, given, err := c.open()
	if err != nil {
		return inOrder(err)
	}
	var errs []error
	for _, s := range l.text.sections {
		prefix, _, named := strings.Cut(s.name, ":")
		if !named {
			continue
		}
		switch prefix {
		case "app", "application", "composite", "composit", "pipeline", "filter-app":
			errs = append(errs, l.section(appKind, s, given).check())
		case "filter":
			errs = append(errs, l.section(filterKind, s, given).check())
		}
	}
	return inOrder(errors.Join(errs...))
}

// open reads the file, and returns what the program gives beside it.
func (c Config) open() (*loader, *dict, error) {
	run := &run{factories: c.Factories.normal(), log: c.Logger, texts: make(map[string]*text), told: make(map[string]bool)}
	if run.log == nil {
		run.log = slog.New(slog.DiscardHandler)
	}
	given := &dict{}
	for _, name := range slices.Sorted(maps.Keys(c.Globals)) {
		given.set(name, value{text: c.Globals[name], literal: true})
	}
	l, err := run.file(c.Path, given)
	return l, given, err
}

// A run is one load: what all its files have in common. One goroutine uses it.
type run struct {
	factories Factories
	log       *slog.Logger
	texts     map[string]*text
	told      map[string]bool // what was warned of
}

// warn says once that something has no effect.
func (r *run) warn(at position, section, setting, why string) {
	if key := at.String() + " " + section + " " + setting; !r.told[key] {
		r.told[key] = true
		r.log.Warn("paste: a setting has no effect", "at", at.String(), "section", section, "setting", setting, "why", why)
	}
}

// file opens a file for a section of another, or for the program, that gives it settings: they count where the file has
// no such setting of its own.
func (r *run) file(path string, given *dict) (*loader, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, &Problem{Path: path, Reason: err.Error(), err: err}
	}
	parsed := r.texts[path]
	if parsed == nil {
		if parsed, err = readText(path); err != nil {
			return nil, err
		}
		r.texts[path] = parsed
	}
	l := &loader{run: r, text: parsed, defaults: &dict{}}
	l.defaults.set("here", value{text: filepath.Dir(path), literal: true})
	l.defaults.set("__file__", value{text: path, literal: true})
	l.defaults.update(&parsed.defaults)
	for _, name := range given.names {
		if _, ok := l.defaults.get(name); !ok {
			l.defaults.set(name, given.values[name])
		}
	}
	return l, nil
}

// A Loader loads the sections that a composite is made of.
type Loader struct {
	loader  *loader
	globals *dict // nil: none but the file's
}

// With returns a loader that hands the settings of all sections on, as Paste's urlmap does. Without, what the section of the
// composite sets for the sections below it is lost, as it is in the pipelines of OpenStack's projects.
func (l *Loader) With(s Settings) *Loader { return &Loader{l.loader, s.global} }

// App loads the application of that name; at is the setting that names it. The error joins a *[Problem] for each thing that
// is wrong.
func (l *Loader) App(at Setting, name string) (http.Handler, error) {
	return l.loader.context(appKind, name, l.globals, reference{at.at, at.section, at.Name}).app()
}

// Filter loads the filter of that name, as App does.
func (l *Loader) Filter(at Setting, name string) (func(http.Handler) http.Handler, error) {
	return l.loader.context(filterKind, name, l.globals, reference{at.at, at.section, at.Name}).filter()
}
