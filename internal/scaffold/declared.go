package scaffold

import (
	"fmt"
	"go/ast"
	"path/filepath"
)

// fits refuses a method whose names the API or the manager have for something else, and a project that has not what the new files need.
func (p *project) fits(m method) error {
	for _, folder := range []struct {
		name        string
		free, needs []string
	}{
		{"api", []string{m.Receiver + "." + m.Lower, "Test" + m.Go}, []string{m.Receiver + ".authorize", m.Receiver + ".client", "owner", "newFront", "front.want"}},
		{"manager", []string{m.Manager + "." + m.Go, "Test" + m.Go}, []string{m.Manager + ".log", "newClient"}},
	} {
		declared, err := p.declared(folder.name)
		if err != nil {
			return err
		}
		for _, name := range folder.free {
			if at, ok := declared[name]; ok {
				return editErrorf("%s: %s is there already; nothing was written", at, name)
			}
		}
		for _, name := range folder.needs {
			if _, ok := declared[name]; !ok {
				return editErrorf("%s has no %s, which the files of the method need: write them by hand, or bring it back; nothing was written", filepath.Join(p.root, folder.name), name)
			}
		}
	}
	return nil
}

// declared returns what a package and its tests declare, and where: functions, types, variables and constants by their names, methods and
// fields as Type.name.
func (p *project) declared(folder string) (map[string]string, error) {
	paths, err := filepath.Glob(filepath.Join(p.root, folder, "*.go"))
	if err != nil {
		return nil, fmt.Errorf("scaffold: %w", err)
	}
	declared := make(map[string]string)
	for _, path := range paths {
		s, err := readSource(path)
		if err != nil {
			return nil, err
		}
		add := func(of string, names ...*ast.Ident) {
			for _, n := range names {
				declared[of+n.Name] = s.set.Position(n.Pos()).String()
			}
		}
		for _, d := range s.tree.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				of := ""
				if d.Recv != nil {
					name, _ := receiver(d)
					of = name + "."
				}
				add(of, d.Name)
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					addSpec(spec, add)
				}
			}
		}
	}
	return declared, nil
}

func addSpec(spec ast.Spec, add func(of string, names ...*ast.Ident)) {
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		add("", spec.Names...)
	case *ast.TypeSpec:
		add("", spec.Name)
		if of, ok := spec.Type.(*ast.StructType); ok {
			for _, field := range of.Fields.List {
				add(spec.Name.Name+".", field.Names...)
			}
		}
	}
}
