package flow

import (
	"go/types"
	"strings"

	"golang.org/x/tools/go/ssa"
)

// A symbol is a function or method by name, without what generic ones are made for.
type symbol struct{ pkg, recv, name string }

// symbolOf is the zero symbol for closures and wrappers.
func symbolOf(fn *ssa.Function) symbol {
	if f, ok := fn.Object().(*types.Func); ok && !isWrapper(fn) {
		return symbolOfObject(f)
	}
	return symbol{}
}

func symbolOfObject(f *types.Func) symbol {
	s := symbol{name: f.Name()}
	if f.Pkg() != nil {
		s.pkg = f.Pkg().Path()
	}
	if recv := f.Signature().Recv(); recv != nil {
		if named := namedOf(recv.Type()); named != nil {
			s.recv = named.Obj().Name()
		}
	}
	return s
}

// namedOf is the named type that t is or points to, or nil.
func namedOf(t types.Type) *types.Named {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	named, _ := types.Unalias(t).(*types.Named)
	return named
}

func isNamed(t types.Type, pkg, name string) bool {
	named := namedOf(t)
	return named != nil && named.Obj().Name() == name && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == pkg
}

const (
	rpcPath     = module + "/rpc"
	servicePath = module + "/service"
)

// A role is what a function of the library means to a flow.
type role int

const (
	ordinary     role = iota // to be followed, where its source was read
	makesMethod              // rpc.NewCall, rpc.NewCast
	sends                    // Call.Call, Call.Cast, Cast.Cast
	handles                  // Call.Handle, Cast.Handle
	adorns                   // Endpoint.Accept, Endpoint.Expect
	gathers                  // rpc.NewEndpoint
	derives                  // Client.To and its like
	since                    // Target.Since
	schedules                // service.Every
	joinsText                // fmt.Sprintf
	makesRoute               // rest.Index and its like
	limits                   // rest.Route.Since and its like
	groups                   // rest.NewResource, rest.Extend
	extends                  // rest.NewExtension
	mounts                   // rest.New
	registersURL             // http.ServeMux.Handle and its like, of any router: see routeCall
)

var roles = map[symbol]role{
	{rpcPath, "", "NewCall"}:         makesMethod,
	{rpcPath, "", "NewCast"}:         makesMethod,
	{rpcPath, "Call", "Call"}:        sends,
	{rpcPath, "Call", "Cast"}:        sends,
	{rpcPath, "Cast", "Cast"}:        sends,
	{rpcPath, "Call", "Handle"}:      handles,
	{rpcPath, "Cast", "Handle"}:      handles,
	{rpcPath, "Endpoint", "Accept"}:  adorns,
	{rpcPath, "Endpoint", "Expect"}:  adorns,
	{rpcPath, "", "NewEndpoint"}:     gathers,
	{rpcPath, "Client", "To"}:        derives,
	{rpcPath, "Client", "Fanout"}:    derives,
	{rpcPath, "Client", "On"}:        derives,
	{rpcPath, "Client", "In"}:        derives,
	{rpcPath, "Client", "Pin"}:       derives,
	{rpcPath, "Client", "Monitored"}: derives,
	{rpcPath, "Target", "Since"}:     since,
	{servicePath, "", "Every"}:       schedules,
	{restPath, "", "NewResource"}:    groups,
	{restPath, "", "Extend"}:         groups,
	{restPath, "", "NewExtension"}:   extends,
	{restPath, "", "New"}:            mounts,
	{restPath, "Resource", "Plural"}: limits,
	{restPath, "Route", "Accepted"}:  limits,
	{restPath, "Route", "Since"}:     limits,
	{restPath, "Route", "Until"}:     limits,
	{"fmt", "", "Sprintf"}:           joinsText,
}

// registering are the names under which routers take a pattern and a handler, and the HTTP method that each means.
var registering = map[string]string{
	"Handle": "", "HandleFunc": "", "Get": "GET", "Post": "POST", "Put": "PUT", "Patch": "PATCH", "Delete": "DELETE",
	"Head": "HEAD", "Options": "OPTIONS",
	"GET": "GET", "POST": "POST", "PUT": "PUT", "PATCH": "PATCH", "DELETE": "DELETE", "HEAD": "HEAD", "OPTIONS": "OPTIONS",
}

// roleOf looks a callee up. A call to a router is known by its shape: a name such as Handle or Get, a text first, and last a
// function, a handler, or a list of these.
func (p *project) roleOf(s symbol, sig *types.Signature) role {
	if r := roles[s]; r != ordinary {
		return r
	}
	if _, ok := restRoutes[s.name]; ok && s.pkg == restPath && s.recv == "" {
		return makesRoute
	}
	if _, ok := registering[s.name]; !ok || p.read[s.pkg] || strings.HasPrefix(s.pkg, module) {
		return ordinary
	}
	n := sig.Params().Len()
	if n < 2 || !isText(sig.Params().At(0).Type()) {
		return ordinary
	}
	last := sig.Params().At(n - 1).Type()
	if sig.Variadic() {
		last = last.(*types.Slice).Elem()
	}
	if isFunc(last) || hasMethod(last, "ServeHTTP") {
		return registersURL
	}
	return ordinary
}

func isText(t types.Type) bool {
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsString != 0
}

func isFunc(t types.Type) bool {
	_, ok := t.Underlying().(*types.Signature)
	return ok
}

func hasMethod(t types.Type, name string) bool {
	obj, _, _ := types.LookupFieldOrMethod(t, true, nil, name)
	_, ok := obj.(*types.Func)
	return ok
}
