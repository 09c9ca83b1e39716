package scaffold

import (
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"strconv"
	"strings"
)

// A target is the declaration of a contract's version.
type target struct {
	version     *ast.BasicLit
	declaration *ast.GenDecl
}

// contract finds the package that has a target: <name>api.
func (p *project) contract() (*source, target, error) {
	entries, err := os.ReadDir(p.root)
	if err != nil {
		return nil, target{}, fmt.Errorf("scaffold: %w", err)
	}
	var (
		found *source
		at    target
	)
	for _, e := range entries {
		if !e.IsDir() || !strings.HasSuffix(e.Name(), "api") || e.Name() == "api" {
			continue
		}
		all, err := p.sources(e.Name())
		if err != nil {
			return nil, target{}, err
		}
		for _, s := range all {
			t, ok := s.target()
			if !ok {
				continue
			}
			if found != nil {
				return nil, target{}, editErrorf("both %s and %s have a Target: it is not clear which contract is meant; nothing was written", found.path, s.path)
			}
			found, at = s, t
		}
	}
	if found == nil {
		return nil, target{}, editErrorf(`no package of %s whose name ends with "api" has var Target = rpc.Target{..., Version: "1.0"}: run it in a project that goslo new wrote; nothing was written`, p.root)
	}
	return found, at, nil
}

// target finds var Target = rpc.Target{Version: "1.0"}.
func (s *source) target() (target, bool) {
	declaration, value, ok := s.variable("Target")
	if !ok {
		return target{}, false
	}
	literal, ok := value.(*ast.CompositeLit)
	if !ok || !isSelector(literal.Type, "rpc", "Target") {
		return target{}, false
	}
	for _, e := range literal.Elts {
		pair, ok := e.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		key, isName := pair.Key.(*ast.Ident)
		version, isText := pair.Value.(*ast.BasicLit)
		if isName && key.Name == "Version" && isText {
			return target{version, declaration}, true
		}
	}
	return target{}, false
}

// editContract adds the descriptor, and its types, and raises the version.
func (p *project) editContract(m *method) (*source, error) {
	s, at, err := p.contract()
	if err != nil {
		return nil, err
	}
	m.Contract = s.tree.Name.Name
	version, _ := unquoted(at.version)
	if m.Version, err = nextMinor(version); err != nil {
		return nil, editErrorf("%s: %v; nothing was written", s.set.Position(at.version.Pos()), err)
	}
	if err := s.free(m); err != nil {
		return nil, err
	}
	methods, ok := s.methods()
	if !ok {
		return nil, editErrorf("%s has no var ( ... ) with rpc.NewCall or rpc.NewCast, where the method would be added; nothing was written", s.path)
	}
	s.replace(at.version.Pos(), at.version.End(), strconv.Quote(m.Version))
	if doc := at.declaration.Doc; doc != nil {
		for i := len(doc.List) - 1; i >= 0; i-- {
			if strings.HasPrefix(doc.List[i].Text, "//\t"+version+" ") {
				s.insert(doc.List[i].End(), "\n//\t"+m.Version+"  "+m.Wire)
				break
			}
		}
	}
	descriptor, err := execute("templates/edit/descriptor.tmpl", m)
	if err != nil {
		return nil, err
	}
	s.insert(methods.Rparen, "\n"+string(descriptor))
	types, err := execute("templates/edit/types.tmpl", m)
	if err != nil {
		return nil, err
	}
	s.edits = append(s.edits, edit{len(s.text), len(s.text), "\n" + string(types)})
	return s, nil
}

// methods finds the declaration of the descriptors.
func (s *source) methods() (*ast.GenDecl, bool) {
	for _, d := range s.tree.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR || !g.Rparen.IsValid() {
			continue
		}
		for _, spec := range g.Specs {
			v, isValue := spec.(*ast.ValueSpec)
			if !isValue {
				continue
			}
			for _, value := range v.Values {
				if call, ok := value.(*ast.CallExpr); ok && isSelector(call.Fun, "rpc", "NewCall", "NewCast") {
					return g, true
				}
			}
		}
	}
	return nil, false
}

// free refuses a method that the contract has, and names that it uses otherwise.
func (s *source) free(m *method) error {
	names := map[string]bool{m.Go: true, m.Go + "Args": true, m.Go + "Result": !m.Cast}
	var err error
	ast.Inspect(s.tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			for _, name := range n.Names {
				if names[name.Name] {
					err = editErrorf("%s: %s is declared already; nothing was written", s.set.Position(name.Pos()), name.Name)
				}
			}
		case *ast.TypeSpec:
			if names[n.Name.Name] {
				err = editErrorf("%s: %s is declared already; nothing was written", s.set.Position(n.Pos()), n.Name.Name)
			}
		case *ast.BasicLit:
			if text, ok := unquoted(n); ok && text == m.Wire {
				err = editErrorf("%s: there is a method %q already; nothing was written", s.set.Position(n.Pos()), m.Wire)
			}
		}
		return err == nil
	})
	return err
}

// nextMinor is 1.8 of 1.7.
func nextMinor(version string) (string, error) {
	major, minor, ok := strings.Cut(version, ".")
	n, err := strconv.Atoi(minor)
	if !ok || err != nil || n < 0 {
		return "", fmt.Errorf("the version %q is not of the form 1.0", version)
	}
	return fmt.Sprintf("%s.%d", major, n+1), nil
}
