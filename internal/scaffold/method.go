package scaffold

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Method is one that is to be added to a project. Name is required.
type Method struct {
	// Name is the method's: ship_order, or ShipOrder.
	Name string
	// Cast says that nobody waits for it. Default: it is a call, which has a result.
	Cast bool
	// Resource is the one that gets an action for it, in the plural as in the API's paths. Default: the only one.
	Resource string
}

// A Change is one file of a project, as it is to be.
type Change struct {
	Path   string // below the folder in which the command runs, or absolute
	Edited bool   // it was there
	Text   []byte
}

// Changes are what adds a method.
type Changes struct {
	Root  string // the project's folder
	Files []Change
}

// An EditError is a project to which nothing can be added as it is. Nothing was written.
type EditError struct{ text string }

func (e *EditError) Error() string { return e.text }

func editErrorf(format string, args ...any) error { return &EditError{fmt.Sprintf(format, args...)} }

// method is what the templates see.
type method struct {
	Module   string
	Contract string // the package
	Wire     string // ship_order
	Go       string // ShipOrder
	Lower    string // shipOrder
	Cast     bool
	Version  string // of the contract that has it
	Resource string // orders
	Receiver string // the type of its controller
	Manager  string // the type of the manager
	Variable string // its name in methods
}

func (m *method) wanted() string {
	if m.Resource == "" {
		return "whose last argument is a route"
	}
	return "for " + m.Resource
}

// Plan finds out what adds the method to the project around a folder. It writes nothing. The error is a *[NameError] or an *[EditError] where
// it cannot be added.
func (m Method) Plan(from string) (Changes, error) {
	wire, err := methodName(m.Name)
	if err != nil {
		return Changes{}, err
	}
	p, err := openProject(from)
	if err != nil {
		return Changes{}, err
	}
	data := method{Module: p.module, Wire: wire, Go: camel(wire), Lower: lowerCamel(wire), Cast: m.Cast, Resource: m.Resource}
	var edited []*source
	for _, step := range []func(*method) (*source, error){p.editContract, p.editResource, p.editRules, p.editEndpoints} {
		s, err := step(&data)
		if err != nil {
			return Changes{}, err
		}
		edited = append(edited, s)
	}
	if err := p.fits(data); err != nil {
		return Changes{}, err
	}
	c := Changes{Root: p.root}
	for _, s := range edited {
		text, err := s.result()
		if err != nil {
			return Changes{}, err
		}
		c.Files = append(c.Files, Change{s.path, true, text})
	}
	files, err := render("templates/method", data, func(path string) string {
		return strings.ReplaceAll(path, "METHOD", fileName(wire, "method"))
	})
	if err != nil {
		return Changes{}, err
	}
	for _, f := range files {
		path := filepath.Join(p.root, filepath.FromSlash(f.Path))
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return Changes{}, &ExistsError{path, "exists"}
		}
		c.Files = append(c.Files, Change{path, false, f.Text})
	}
	return c, nil
}

// Write writes the changes: new files first, so that what refers to them comes last. When it fails, what it had written is taken back.
func (c Changes) Write() (err error) {
	var undo []func() error
	defer func() {
		if err == nil {
			return
		}
		err = fmt.Errorf("scaffold: %w", err)
		for _, u := range slices.Backward(undo) {
			err = errors.Join(err, u())
		}
	}()
	files := slices.Clone(c.Files)
	slices.SortStableFunc(files, func(a, b Change) int {
		switch {
		case a.Edited == b.Edited:
			return 0
		case b.Edited:
			return -1
		}
		return 1
	})
	for _, f := range files {
		u, err := f.write()
		if err != nil {
			return err
		}
		undo = append(undo, u)
	}
	return nil
}

// write returns what takes it back.
func (c Change) write() (undo func() error, err error) {
	if !c.Edited {
		file, err := os.OpenFile(c.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // a source, as git makes it
		if err != nil {
			return nil, err
		}
		if _, err = file.Write(c.Text); err != nil {
			return nil, errors.Join(err, file.Close(), os.Remove(c.Path))
		}
		return func() error { return os.Remove(c.Path) }, file.Close()
	}
	info, err := os.Stat(c.Path)
	if err != nil {
		return nil, err
	}
	before, err := os.ReadFile(c.Path)
	if err != nil {
		return nil, err
	}
	replace := func(text []byte) error {
		temporary := c.Path + ".new"
		if err := os.WriteFile(temporary, text, info.Mode().Perm()); err != nil { //nolint:gosec // the path is of a file that was found in the project
			return err
		}
		return os.Rename(temporary, c.Path)
	}
	return func() error { return replace(before) }, replace(c.Text)
}
