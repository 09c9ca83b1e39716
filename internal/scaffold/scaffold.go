// Package scaffold writes projects: a REST API and a manager behind it, on a message bus, ready to run, to test and to be changed.
//
// It owns the templates, which names are possible, and where a method is added to a project that it once wrote ([Method]). A project is
// its user's from the first moment on: nothing is ever overwritten, and what was changed beyond recognition is left alone, with an error that
// says what to do by hand.
//
// The package starts no goroutine. It runs one program, go, for `go mod tidy`.
package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/policy"
	"github.com/goslo/goslo/rest/keystone"
	"github.com/goslo/goslo/rest/middleware"
	"github.com/goslo/goslo/service/program"
)

//go:embed templates
var templates embed.FS

// A File is one of a project.
type File struct {
	Path string // below the project's folder, with slashes
	Text []byte
}

// Files returns what a project consists of, which requires the library. The error is a *[NameError] where a name is not possible.
func (p Project) Files(l Library) ([]File, error) {
	p, err := p.complete()
	if err != nil {
		return nil, err
	}
	data := struct {
		Project
		Library Library
		Sample  string
	}{Project: p, Library: l}
	if data.Sample, err = sample(); err != nil {
		return nil, err
	}
	files, err := render("templates/project", data, func(path string) string {
		name := strings.NewReplacer("NAME", p.Name, "CONTRACT", p.Contract(), "ITEMS", p.File()).Replace(path)
		return hidden.Replace(name)
	})
	if err != nil {
		return nil, err
	}
	sums, err := l.sums()
	if err != nil {
		return nil, err
	}
	if sums != nil {
		files = append(files, File{"go.sum", sums})
	}
	return files, nil
}

// hidden are files whose names begin with a dot in the project, and do not here: embed leaves such out.
var hidden = strings.NewReplacer("gitignore", ".gitignore", "dockerignore", ".dockerignore", "golangci", ".golangci")

// render executes the templates of a folder.
func render(folder string, data any, name func(path string) string) ([]File, error) {
	var files []File
	err := fs.WalkDir(templates, folder, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := execute(file, data)
		if err != nil {
			return err
		}
		relative := strings.TrimSuffix(strings.TrimPrefix(file, folder+"/"), ".tmpl")
		files = append(files, File{name(relative), text})
		return nil
	})
	return files, err
}

// execute fills in one template, and formats what is Go.
func execute(file string, data any) ([]byte, error) {
	raw, err := templates.ReadFile(file)
	if err != nil {
		return nil, err
	}
	t, err := template.New(path.Base(file)).Delims("«", "»").Option("missingkey=error").Parse(string(raw))
	if err != nil {
		return nil, fmt.Errorf("scaffold: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return nil, fmt.Errorf("scaffold: %w", err)
	}
	if !strings.HasSuffix(file, ".go.tmpl") {
		return b.Bytes(), nil
	}
	text, err := format.Source(b.Bytes())
	if err != nil {
		return nil, fmt.Errorf("scaffold: %s: %w", file, err)
	}
	return text, nil
}

// brought are the options of a project that packages of this library bring. Its Options begin with the same.
type brought struct {
	program.Options
	Filters

	Keystone keystone.Options `config:"keystone_authtoken" help:"How Keystone is asked about tokens."`
	Policy   policy.Options   `config:"oslo_policy" help:"Who may do what."`
}

// Filters are those of the filters in api-paste.ini.
type Filters = middleware.Options

// sample is the part of the sample configuration that explains them.
func sample() (string, error) {
	var b strings.Builder
	if err := config.Sample(&b, brought{}); err != nil {
		return "", fmt.Errorf("scaffold: %w", err)
	}
	const blank = "\n\n\n" // between groups
	groups := slices.DeleteFunc(strings.Split(b.String(), blank), func(group string) bool {
		return strings.HasPrefix(group, "[oslo_messaging_") // they are many: goslo config sample has them
	})
	return strings.TrimRight(strings.Join(groups, blank), "\n"), nil
}

// An ExistsError is something that is where a file or a project is to be.
type ExistsError struct{ Path, Reason string }

func (e *ExistsError) Error() string {
	return fmt.Sprintf("%s %s; nothing was written", e.Path, e.Reason)
}

// Check returns an *[ExistsError] unless nothing is at the folder's place, or an empty folder.
func Check(folder string) error {
	entries, err := os.ReadDir(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		if info, statErr := os.Stat(folder); statErr == nil && !info.IsDir() {
			return &ExistsError{folder, "exists, and is not a folder"}
		}
		return fmt.Errorf("scaffold: %w", err)
	case len(entries) > 0:
		return &ExistsError{folder, "exists, and is not empty: it has " + entries[0].Name()}
	}
	return nil
}

// Write makes the folder with the files, all of them or none.
func Write(folder string, files []File) (err error) {
	if err := Check(folder); err != nil {
		return err
	}
	parent, name := filepath.Split(filepath.Clean(folder))
	made, err := os.MkdirTemp(filepath.Clean(parent+"."), "."+name+"-*")
	if err != nil {
		return fmt.Errorf("scaffold: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("scaffold: %w", err), os.RemoveAll(made))
		}
	}()
	for _, f := range files {
		path := filepath.Join(made, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // a folder of sources, as git makes it
			return err
		}
		if err := os.WriteFile(path, f.Text, 0o644); err != nil { //nolint:gosec // sources, as git makes them
			return err
		}
	}
	if err := os.Chmod(made, 0o755); err != nil { //nolint:gosec // a folder of sources, as git makes it
		return err
	}
	if err := os.Remove(folder); err != nil && !errors.Is(err, fs.ErrNotExist) { // an empty one
		return err
	}
	return os.Rename(made, folder)
}
