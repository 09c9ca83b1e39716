package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// A loader reads a configuration, as often as it is asked to.
type loader struct {
	schema *schema
	line   *commandLine
	env    func(string) (string, bool)
	places []place  // of files, in the order in which they are read
	others []string // further folders in which a file beside them may be
}

// A place is a file, or a folder with files.
type place struct {
	path     string
	dir      bool
	optional bool
}

// A state is what was read at one time.
type state struct {
	sum      fingerprint // taken before reading
	files    []*File
	results  map[*option]*result
	errs     []error
	warnings []*Problem
}

// newLoader reads the declarations in defaults and the command line.
func newLoader(s Source, defaults reflect.Value) (*loader, error) {
	l := &loader{env: s.Env}
	if l.env == nil {
		l.env = os.LookupEnv
	}
	l.others = folders("/", l.env, s.Project)
	var err error
	if l.schema, err = newSchema(defaults); err != nil {
		return nil, err
	}
	if l.line, err = parseArgs(l.schema, s); err != nil {
		return nil, err
	}
	if !l.line.hasFiles {
		l.places = append(l.places, defaultPlaces(s.Files, false, s, l.env, ".conf")...)
	}
	if !l.line.hasDirs {
		l.places = append(l.places, defaultPlaces(s.Dirs, true, s, l.env, ".conf.d")...)
	}
	l.places = append(l.places, l.line.places...)
	for i := range l.places {
		if l.places[i].path, err = absolute(l.places[i].path, l.env); err != nil {
			return nil, fmt.Errorf("config: %w", err)
		}
	}
	return l, nil
}

func defaultPlaces(given []string, dir bool, s Source, env func(string) (string, bool), extension string) []place {
	paths := given
	if paths == nil {
		paths = search("/", env, s.Project, s.Prog, extension)
	}
	places := make([]place, len(paths))
	for i, path := range paths {
		places[i] = place{path: path, dir: dir, optional: dir}
	}
	return places
}

// search mirrors oslo_config/cfg.py, find_config_files: for the project and the program, the first that exists.
func search(root string, env func(string) (string, bool), project, prog, extension string) []string {
	dirs := folders(root, env, project)
	var found []string
	for _, name := range []string{project, prog} {
		if name == "" {
			continue
		}
		for _, dir := range dirs {
			path := filepath.Join(dir, name+extension)
			if _, err := os.Stat(path); err == nil {
				found = append(found, path)
				break
			}
		}
	}
	return found
}

// folders mirrors oslo_config/cfg.py, _get_config_dirs.
func folders(root string, env func(string) (string, bool), project string) []string {
	var dirs []string
	add := func(parts ...string) { dirs = append(dirs, filepath.Join(parts...)) }
	if home, ok := env("HOME"); ok && home != "" {
		if project != "" {
			add(home, "."+project)
		}
		add(home)
	}
	if project != "" {
		add(root, "etc", project)
	}
	add(root, "etc")
	for _, name := range []string{"SNAP_COMMON", "SNAP"} {
		if snap, ok := env(name); ok && snap != "" && project != "" {
			add(snap, "etc", project)
		}
	}
	return dirs
}

// absolute mirrors oslo_config/cfg.py, _fixpath.
func absolute(path string, env func(string) (string, bool)) (string, error) {
	if home, ok := env("HOME"); ok && (path == "~" || strings.HasPrefix(path, "~/")) {
		path = filepath.Join(home, path[1:])
	}
	return filepath.Abs(path)
}

// read reads the files and finds the value of each option.
func (l *loader) read() *state {
	s := &state{sum: l.sum(), results: make(map[*option]*result)}
	for _, p := range l.places {
		s.readPlace(p)
	}
	s.refuseSources(l.schema)
	r := l.resolver(s)
	s.errs = append(s.errs, r.resolveAll()...)
	r.warnUnknown()
	s.warnings = r.told
	return s
}

func (l *loader) resolver(s *state) *resolver {
	return &resolver{
		schema: l.schema, line: l.line, env: l.env, files: s.files, results: s.results, within: make(map[key]bool),
		shared: slices.ContainsFunc(l.schema.groups, func(g *group) bool { return g.shared }),
	}
}

func (s *state) readPlace(p place) {
	paths := []string{p.path}
	if p.dir {
		var err error
		if paths, err = confFiles(p.path); err != nil {
			if !p.optional || !errors.Is(err, os.ErrNotExist) {
				s.errs = append(s.errs, fmt.Errorf("config: %w", err))
			}
			return
		}
	}
	for _, path := range paths {
		f, err := ReadFile(path)
		if err != nil {
			s.errs = append(s.errs, unjoin(err)...)
			continue
		}
		s.files = append(s.files, f)
	}
}

// confFiles are the files of a folder that count: *.conf as a shell has it, sorted.
func confFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries { // which os.ReadDir sorts
		if name := e.Name(); strings.HasSuffix(name, ".conf") && name[0] != '.' {
			paths = append(paths, filepath.Join(dir, name))
		}
	}
	return paths, nil
}

var configSource = key{Default, "config_source"}

// refuseSources finds the option that makes oslo.config read values from elsewhere.
func (s *state) refuseSources(declared *schema) {
	for _, f := range s.files {
		if e, ok := f.last(configSource); ok && strings.Trim(e.value, " ,") != "" && declared.byKey[configSource] == nil {
			s.errs = append(s.errs, &Problem{
				Position: f.at(e), Group: Default, Option: configSource.name, Value: e.value,
				Reason: "values come from files, the environment and the command line alone; put what is there into a file",
			})
		}
	}
}

// problems joins what is wrong, the cross-checks of the program too if nothing else is.
func (s *state) problems(validate func() error) error {
	if len(s.errs) > 0 {
		return errors.Join(s.errs...)
	}
	return errors.Join(validate())
}
