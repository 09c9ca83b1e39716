package scaffold

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A source is a Go file that is being edited: by insertions into its text, so that all that stands there stays as it is.
type source struct {
	path  string
	text  []byte
	set   *token.FileSet
	tree  *ast.File
	edits []edit
}

// An edit puts text in the place of what stands between two offsets.
type edit struct {
	from, to int
	text     string
}

func readSource(path string) (*source, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("scaffold: %w", err)
	}
	s := &source{path: path, text: text, set: token.NewFileSet()}
	if s.tree, err = parser.ParseFile(s.set, path, text, parser.ParseComments|parser.SkipObjectResolution); err != nil {
		return nil, editErrorf("%v: nothing can be added to a file that is not Go; nothing was written", err)
	}
	return s, nil
}

func (s *source) offset(p token.Pos) int { return s.set.Position(p).Offset }

// insert puts text before p.
func (s *source) insert(p token.Pos, text string) { s.replace(p, p, text) }

func (s *source) replace(from, to token.Pos, text string) {
	s.edits = append(s.edits, edit{s.offset(from), s.offset(to), text})
}

// element adds a line to a list in brackets, such as arguments or elements, whose last element is last.
func (s *source) element(opening, closing token.Pos, last ast.Node, text string) {
	if last != nil && s.set.Position(last.End()).Line == s.set.Position(closing).Line { // there is no comma behind it
		text = ",\n" + text
	}
	if last == nil && s.set.Position(opening).Line == s.set.Position(closing).Line {
		text = "\n" + text
	}
	s.insert(closing, text+",\n")
}

// result is the edited text, formatted.
func (s *source) result() ([]byte, error) {
	edits := slices.Clone(s.edits)
	slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Compare(a.from, b.from) })
	var text []byte
	at := 0
	for _, e := range edits {
		text = append(text, s.text[at:e.from]...)
		text = append(text, e.text...)
		at = e.to
	}
	text = append(text, s.text[at:]...)
	formatted, err := format.Source(text)
	if err != nil {
		return nil, fmt.Errorf("scaffold: %s would not be Go any more: %w; nothing was written", s.path, err)
	}
	return formatted, nil
}

// project is one that exists.
type project struct {
	root, module string
}

// openProject finds the module around a folder.
func openProject(from string) (*project, error) {
	folder, err := filepath.Abs(from)
	if err != nil {
		return nil, fmt.Errorf("scaffold: %w", err)
	}
	for {
		text, err := os.ReadFile(filepath.Join(folder, "go.mod"))
		if err == nil {
			return &project{folder, modulePathOf(text)}, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("scaffold: %w", err)
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return nil, editErrorf("there is no go.mod in %s or above: run it in a project that goslo new wrote", from)
		}
		folder = parent
	}
}

// sources are the Go files of a package, without tests, sorted.
func (p *project) sources(folder string) ([]*source, error) {
	paths, err := filepath.Glob(filepath.Join(p.root, folder, "*.go"))
	if err != nil {
		return nil, fmt.Errorf("scaffold: %w", err)
	}
	var all []*source
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		s, err := readSource(path)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// find returns the one place in a package that look finds; none, or several, are errors that say what was looked for.
func find[T any](p *project, folder, what string, look func(*source) (T, bool)) (*source, T, error) {
	var (
		found  *source
		place  T
		nobody T
	)
	all, err := p.sources(folder)
	if err != nil {
		return nil, nobody, err
	}
	for _, s := range all {
		at, ok := look(s)
		if !ok {
			continue
		}
		if found != nil {
			return nil, nobody, editErrorf("both %s and %s have %s: it is not clear where to add the method; nothing was written", found.path, s.path, what)
		}
		found, place = s, at
	}
	if found == nil {
		return nil, nobody, editErrorf("no file in %s has %s, where the method would be added; nothing was written", filepath.Join(p.root, folder), what)
	}
	return found, place, nil
}

// isSelector reports whether e is pkg.name, with any of the names.
func isSelector(e ast.Expr, pkg string, names ...string) bool {
	if index, ok := e.(*ast.IndexExpr); ok {
		e = index.X
	}
	if index, ok := e.(*ast.IndexListExpr); ok {
		e = index.X
	}
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == pkg && slices.Contains(names, s.Sel.Name)
}

// variable returns the value of a package's variable.
func (s *source) variable(name string) (*ast.GenDecl, ast.Expr, bool) {
	for _, d := range s.tree.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, spec := range g.Specs {
			v, isValue := spec.(*ast.ValueSpec)
			if !isValue {
				continue
			}
			for i, n := range v.Names {
				if n.Name == name && i < len(v.Values) {
					return g, v.Values[i], true
				}
			}
		}
	}
	return nil, nil, false
}

// unquoted is a string literal's value.
func unquoted(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(l.Value)
	return text, err == nil
}
