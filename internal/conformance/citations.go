package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A citation is one ID in one comment of a test.
type citation struct {
	id  string
	pos token.Position // its file name is relative to the root
	// problem is empty when a test can reach the place, else says why not.
	problem string
}

var (
	citationPattern = regexp.MustCompile(`^//\s*conforms:\s*(.*)$`)
	testPattern     = regexp.MustCompile(`^(Test|Fuzz|Example)([^a-z]|$)`)
)

// scan reads the Go tests below root, and the suites in folders whose name ends in "test", which tests run.
func scan(root string) ([]citation, error) {
	packages := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		folder := filepath.Dir(path)
		suite := strings.HasSuffix(filepath.Base(folder), "test") && strings.HasSuffix(path, ".go")
		if suite || strings.HasSuffix(path, "_test.go") {
			packages[folder] = append(packages[folder], path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for tests: %w", err)
	}
	var all []citation
	for _, files := range packages {
		found, err := scanPackage(root, files)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.SortFunc(all, func(a, b citation) int {
		if c := strings.Compare(a.pos.Filename, b.pos.Filename); c != 0 {
			return c
		}
		return a.pos.Offset - b.pos.Offset
	})
	return all, nil
}

func scanPackage(root string, paths []string) ([]citation, error) {
	set := token.NewFileSet()
	var files []*ast.File
	for _, path := range paths {
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	used := uses(files)
	var all []citation
	for _, file := range files {
		for _, group := range file.Comments {
			for _, comment := range group.List {
				m := citationPattern.FindStringSubmatch(comment.Text)
				if m == nil {
					continue
				}
				pos := set.Position(comment.Pos())
				if name, err := filepath.Rel(root, pos.Filename); err == nil {
					pos.Filename = name
				}
				suite := !strings.HasSuffix(pos.Filename, "_test.go")
				problem := reach(file, comment, used, suite)
				for _, id := range strings.Split(m[1], ",") {
					all = append(all, citation{id: strings.TrimSpace(id), pos: pos, problem: problem})
				}
			}
		}
	}
	return all, nil
}

// uses counts how often each name is mentioned in the files, its declaration included.
func uses(files []*ast.File) map[string]int {
	count := map[string]int{}
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			if ident, ok := n.(*ast.Ident); ok {
				count[ident.Name]++
			}
			return true
		})
	}
	return count
}

// reach says why no test comes by the comment, or "". A comment counts in or above a test, an example or a
// fuzz target, in or above anything else of the package's test files that is used there, and in or above
// what a suite exports to tests.
func reach(file *ast.File, comment *ast.Comment, used map[string]int, suite bool) string {
	for _, decl := range file.Decls {
		start := decl.Pos()
		var doc *ast.CommentGroup
		var names []string
		switch d := decl.(type) {
		case *ast.FuncDecl:
			doc, names = d.Doc, []string{d.Name.Name}
		case *ast.GenDecl:
			doc = d.Doc
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.ValueSpec:
					for _, name := range s.Names {
						names = append(names, name.Name)
					}
				case *ast.TypeSpec:
					names = append(names, s.Name.Name)
				}
			}
		}
		if doc != nil {
			start = doc.Pos()
		}
		if comment.Pos() < start || comment.Pos() > decl.End() {
			continue
		}
		for _, name := range names {
			if testPattern.MatchString(name) || suite && ast.IsExported(name) || used[name] > 1 {
				return ""
			}
		}
		return "no test uses " + strings.Join(names, ", ")
	}
	return "it stands in no test: put it in one, or right above"
}
