package scaffold

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"strings"
)

// A list is one in brackets, to which a line is added.
type list struct {
	opening, closing token.Pos
	last             ast.Node // nil = it is empty
}

func listOf(opening, closing token.Pos, all []ast.Expr) list {
	l := list{opening: opening, closing: closing}
	if len(all) > 0 {
		l.last = all[len(all)-1]
	}
	return l
}

func (s *source) add(l list, text string) { s.element(l.opening, l.closing, l.last, text) }

// editEndpoints adds the manager's method to what it serves: []rpc.Endpoint{...} in the method Endpoints.
func (p *project) editEndpoints(m *method) (*source, error) {
	s, at, err := find(p, "manager", "a method Endpoints, of a pointer, with []rpc.Endpoint{...}", func(s *source) (slice, bool) {
		at, ok := s.slice("Endpoints", "rpc", "Endpoint")
		return at, ok && at.receiver != ""
	})
	if err != nil {
		return nil, err
	}
	m.Manager, m.Variable = at.receiver, at.variable
	s.add(at.list, fmt.Sprintf("%s.%s.Handle(%s.%s)", m.Contract, m.Go, at.variable, m.Go))
	return s, nil
}

// editRules adds a policy rule: []policy.Default{...} in the function Rules.
func (p *project) editRules(m *method) (*source, error) {
	s, at, err := find(p, "api", "a function Rules with []policy.Default{...}", func(s *source) (slice, bool) {
		return s.slice("Rules", "policy", "Default")
	})
	if err != nil {
		return nil, err
	}
	text, err := execute("templates/edit/rule.tmpl", m)
	if err != nil {
		return nil, err
	}
	s.add(at.list, strings.TrimSpace(string(text)))
	return s, nil
}

// A resource is where routes are made of a controller's methods.
type resource struct {
	routes list
	path   string
	// receiver is the type of the controller, and variable its name there.
	receiver, variable string
}

// editResource adds a route: an argument of rest.NewResource in a method of the controller.
func (p *project) editResource(m *method) (*source, error) {
	s, at, err := find(p, "api", `a method of a controller with rest.NewResource("..."), `+m.wanted(), func(s *source) (resource, bool) { return s.resource(m.Resource) })
	if err != nil {
		return nil, err
	}
	m.Resource, m.Receiver = at.path, at.receiver
	kind := "ActionResult"
	if m.Cast {
		kind = "Action"
	}
	s.add(at.routes, fmt.Sprintf("rest.%s(%q, %s.%s)", kind, m.Wire, at.variable, m.Lower))
	return s, nil
}

// resource finds rest.NewResource; name is the last element of its path, or "" for any.
func (s *source) resource(name string) (found resource, ok bool) {
	for _, d := range s.tree.Decls {
		f, isFunc := d.(*ast.FuncDecl)
		if !isFunc || f.Body == nil {
			continue
		}
		controller, variable := receiver(f)
		if controller == "" {
			continue
		}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			call, isCall := n.(*ast.CallExpr)
			if ok || !isCall || !isSelector(call.Fun, "rest", "NewResource") || len(call.Args) < 2 {
				return !ok
			}
			at, isText := unquoted(call.Args[0])
			if isText && (name == "" || path.Base(at) == name) {
				found = resource{listOf(call.Lparen, call.Rparen, call.Args), path.Base(at), controller, variable}
				ok = true
			}
			return !ok
		})
	}
	return found, ok
}

// A slice is a literal in a function, or in a method of a pointer.
type slice struct {
	list

	receiver, variable string // "" = it is no method
}

// slice finds []pkg.name{...} in a function or method.
func (s *source) slice(function, pkg, name string) (found slice, ok bool) {
	for _, d := range s.tree.Decls {
		f, isFunc := d.(*ast.FuncDecl)
		if !isFunc || f.Name.Name != function || f.Body == nil {
			continue
		}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			literal, isLiteral := n.(*ast.CompositeLit)
			if ok || !isLiteral {
				return !ok
			}
			array, isArray := literal.Type.(*ast.ArrayType)
			if isArray && isSelector(array.Elt, pkg, name) {
				found.list, ok = listOf(literal.Lbrace, literal.Rbrace, literal.Elts), true
				found.receiver, found.variable = receiver(f)
			}
			return !ok
		})
	}
	return found, ok
}

// receiver is the type of which a function is a method, by value or by pointer, and its name in there; "" where it has none.
func receiver(f *ast.FuncDecl) (name, variable string) {
	if f.Recv == nil || len(f.Recv.List) != 1 || len(f.Recv.List[0].Names) != 1 {
		return "", ""
	}
	of := f.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	if id, ok := of.(*ast.Ident); ok {
		return id.Name, f.Recv.List[0].Names[0].Name
	}
	return "", ""
}
