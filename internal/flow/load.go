package flow

import (
	"cmp"
	"context"
	"fmt"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
	"golang.org/x/tools/go/ssa"
	"golang.org/x/tools/go/ssa/ssautil"
)

// module is this library.
const module = "github.com/goslo/goslo"

// libraries are the library's packages, and the folders of such, that programs import: their insides are no part of any project.
var libraries = []string{"config", "notify", "objects", "observe", "policy", "rest", "rpc", "service", "transport", "wire"}

func isLibrary(path string) bool {
	rest, below := strings.CutPrefix(path, module+"/")
	first, _, _ := strings.Cut(rest, "/")
	return path == module || below && slices.Contains(libraries, first)
}

// A project is packages in the form in which they are analysed.
type project struct {
	dir   string
	prog  *ssa.Program
	read  map[string]bool // the paths of packages whose source was read
	own   map[string]bool // those of them that the flow is about, less what they import of other modules
	named []*ssa.Package  // those read, by path
}

// load reads in two rounds: the first finds out what the patterns import, cheaply; the second reads the source of what may be on the
// way of a message, and of everything else what the compiler exports.
func load(ctx context.Context, c Config) (*project, error) {
	dir, err := filepath.Abs(cmp.Or(c.Dir, "."))
	if err != nil {
		return nil, fmt.Errorf("flow: %w", err)
	}
	base := packages.Config{Context: ctx, Dir: dir, Env: c.Env}
	list := base
	list.Mode = packages.NeedName | packages.NeedImports | packages.NeedDeps | packages.NeedModule
	listed, err := packages.Load(&list, c.Patterns...)
	if err := loadError(ctx, dir, listed, err); err != nil {
		return nil, err
	}
	p := &project{dir: dir, read: map[string]bool{}, own: map[string]bool{}}
	p.choose(listed)
	if len(p.read) == 0 {
		p.prog = ssa.NewProgram(token.NewFileSet(), 0)
		return p, nil
	}
	source := base
	source.Mode = packages.LoadSyntax | packages.NeedModule
	loaded, err := packages.Load(&source, slices.Sorted(maps.Keys(p.read))...)
	if err := loadError(ctx, dir, loaded, err); err != nil {
		return nil, err
	}
	prog, built := ssautil.Packages(loaded, ssa.InstantiateGenerics)
	prog.Build()
	p.prog = prog
	for _, b := range built {
		if b != nil {
			p.named = append(p.named, b)
		}
	}
	slices.SortFunc(p.named, func(a, b *ssa.Package) int { return strings.Compare(a.Pkg.Path(), b.Pkg.Path()) })
	return p, nil
}

// choose takes the packages that were asked for, those of the same modules that they import, and those of others that use the
// library: contracts that projects share.
func (p *project) choose(listed []*packages.Package) {
	uses := map[*packages.Package]bool{}
	outside := func(pkg *packages.Package) bool { return !isLibrary(pkg.PkgPath) } // what libraries import is their business
	packages.Visit(listed, outside, func(pkg *packages.Package) {
		for _, imported := range pkg.Imports {
			uses[pkg] = uses[pkg] || uses[imported] || isLibrary(imported.PkgPath)
		}
		main := pkg.Module != nil && pkg.Module.Main
		if isLibrary(pkg.PkgPath) || !main && (pkg.Module == nil || !uses[pkg]) {
			return
		}
		p.read[pkg.PkgPath] = true
		p.own[pkg.PkgPath] = main
	})
	for _, pkg := range listed {
		if !isLibrary(pkg.PkgPath) && pkg.Module != nil {
			p.read[pkg.PkgPath], p.own[pkg.PkgPath] = true, true
		}
	}
}

func loadError(ctx context.Context, dir string, pkgs []*packages.Package, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("flow: loading the packages: %w", ctx.Err())
	}
	if err != nil {
		return &LoadError{strings.Split(strings.TrimSpace(err.Error()), "\n")}
	}
	var problems []string
	packages.Visit(pkgs, nil, func(pkg *packages.Package) {
		for _, e := range pkg.Errors {
			at := ""
			if e.Pos != "" && e.Pos != "-" {
				at = relative(dir, e.Pos) + ": "
			}
			for text := range strings.Lines(at + strings.TrimSpace(e.Msg)) { // the go command quotes the compiler, which had more to say
				text = strings.TrimSpace(text)
				if !strings.HasPrefix(text, "# ") && !slices.Contains(problems, text) {
					problems = append(problems, text)
				}
			}
		}
	})
	if len(pkgs) == 0 {
		problems = append(problems, "no packages match")
	}
	if len(problems) > 0 {
		return &LoadError{problems}
	}
	return nil
}

// at is a position as people and editors read it.
func (p *project) at(pos token.Pos) string {
	if !pos.IsValid() {
		return ""
	}
	position := p.prog.Fset.Position(pos)
	return fmt.Sprintf("%s:%d", relative(p.dir, position.Filename), position.Line)
}

// relative is a path as seen from dir, unless it is shorter as it is.
func relative(dir, path string) string {
	short, err := filepath.Rel(dir, path)
	if err != nil || len(short) >= len(path) {
		return path
	}
	return short
}
