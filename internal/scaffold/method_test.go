package scaffold_test

import (
	"errors"
	"go/format"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/internal/scaffold"
)

var shop = scaffold.Project{Name: "shop"}

// add adds a method to a project.
func add(t *testing.T, folder string, m scaffold.Method) {
	t.Helper()
	changes, err := m.Plan(folder)
	if err == nil {
		err = changes.Write()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What a method adds are lines: all that was there stays as it was, but for the version.
func TestMethodOnlyAdds(t *testing.T) {
	t.Parallel()
	folder := newProject(t, shop)
	edited := []string{"shopapi/shopapi.go", "api/orders.go", "api/policy.go", "manager/manager.go"}
	before := make(map[string]string)
	for _, path := range edited {
		before[path] = read(t, folder, path)
	}
	add(t, filepath.Join(folder, "manager"), scaffold.Method{Name: "RefundOrder"})
	add(t, folder, scaffold.Method{Name: "ship_order", Cast: true})
	for path, want := range map[string][]string{
		"shopapi/shopapi.go": {
			"//\t1.1  refund_order", "//\t1.2  ship_order", `Version: "1.2"}`,
			`RefundOrder = rpc.NewCall[RefundOrderArgs, RefundOrderResult](Target.Since("1.1"), "refund_order")`,
			`ShipOrder = rpc.NewCast[ShipOrderArgs](Target.Since("1.2"), "ship_order")`,
		},
		"api/orders.go":      {`rest.ActionResult("refund_order", c.refundOrder),`, `rest.Action("ship_order", c.shipOrder),`},
		"api/policy.go":      {`"orders:refund_order"`, `"orders:ship_order"`},
		"manager/manager.go": {"shopapi.RefundOrder.Handle(m.RefundOrder),", "shopapi.ShipOrder.Handle(m.ShipOrder),"},
	} {
		text := read(t, folder, path)
		for _, w := range want {
			if strings.Count(text, w) != 1 {
				t.Errorf("%s has %d times %s", path, strings.Count(text, w), w)
			}
		}
		if formatted, err := format.Source([]byte(text)); err != nil || string(formatted) != text {
			t.Errorf("%s is not formatted: %v", path, err)
		}
		lines := slices.Collect(strings.Lines(text))
		for line := range strings.Lines(strings.ReplaceAll(before[path], `Version: "1.0"}`, `Version: "1.2"}`)) {
			at := slices.Index(lines, line)
			if at < 0 {
				t.Fatalf("%s lost the line %s", path, line)
			}
			lines = lines[at+1:]
		}
	}
	for _, path := range []string{"api/refund_order_test.go", "manager/refund_order.go", "api/ship_order.go", "manager/ship_order_test.go"} {
		read(t, folder, path)
	}
}

// A project that was changed is edited as long as the places can be found, however they are written.
func TestMethodFindsItsPlaces(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, path, old, new, want string }{
		{"an empty list", "manager/manager.go", "return []rpc.Endpoint{", "return []rpc.Endpoint{}\n\t_ = []rpc.Endpoint{", "\treturn []rpc.Endpoint{\n\t\tshopapi.Ship.Handle(m.Ship),\n\t}"},
		{"no comma at the end", "api/orders.go", "rest.Delete(c.delete),\n\t)", "rest.Delete(c.delete))", "rest.Delete(c.delete),\n\t\trest.ActionResult(\"ship\", c.ship),\n\t)"},
		{"another receiver", "manager/manager.go", "func (m *Manager) Endpoints() []rpc.Endpoint {", "func (boss *Manager) Endpoints() []rpc.Endpoint {\n\tm := boss", "shopapi.Ship.Handle(boss.Ship)"},
		{"another file", "api/orders.go", "// ordersController is the controller", "// It is moved. ordersController is the controller", "c.ship"},
		{"a target of more lines", "shopapi/shopapi.go", `rpc.Target{Topic: "shop", Version: "1.0"}`, "rpc.Target{\n\tTopic:   \"shop\", // a comment\n\tVersion: \"3.9\",\n}", "Version: \"3.10\","},
		{"no list of versions", "shopapi/shopapi.go", "//\n//\t1.0  the first version\n", "", `Version: "1.1"`},
		{"a method above", "shopapi/shopapi.go", "// Target is where", "const more = 1\n\n// Target is where", `Target.Since("1.1")`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			folder := newProject(t, shop)
			path := filepath.Join(folder, filepath.FromSlash(c.path))
			text := read(t, path)
			if !strings.Contains(text, c.old) {
				t.Fatalf("%s has no %s", path, c.old)
			}
			write(t, path, strings.Replace(text, c.old, c.new, 1))
			add(t, folder, scaffold.Method{Name: "ship"})
			if text := read(t, path); !strings.Contains(text, c.want) {
				t.Errorf("%s has no %s:\n%s", path, c.want, text)
			}
		})
	}
}

func TestMethodRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name           string
		method         string
		path, old, new string // what is changed before
		want           string
	}{
		{"no name", "9lives", "", "", "", `"9lives" cannot be a method's name`},
		{"a word of Go", "select", "", "", "", `"select" cannot be a method's name`},
		{"an empty name", "", "", "", "", "cannot be"},
		{"a method that is there", "get_order", "", "", "", "GetOrder is declared already"},
		{"one under another name in Go", "Fetch", "shopapi/shopapi.go", `"get_order"`, `"fetch"`, `there is a method "fetch" already`},
		{"a name of the contract", "status", "", "", "", "Status is declared already"},
		{"a type of the contract", "Create_order", "", "", "", "declared already"},
		{"a name of the manager", "report", "", "", "", "Manager.Report is there already"},
		{"a name of the controller", "index", "", "", "", "ordersController.index is there already"},
		{"a name of the tests", "refused", "", "", "", "TestRefused is there already"},
		{"a file that is there", "pipeline", "", "", "", filepath.Join("api", "pipeline.go") + " exists"},
		{"what is not Go", "ship", "manager/manager.go", "package manager", "package", "manager.go:"},
		{"no Endpoints", "ship", "manager/manager.go", ") Endpoints()", ") Methods()", "a method Endpoints"},
		{"no rules", "ship", "api/policy.go", "func Rules()", "func Other()", "a function Rules"},
		{"no resource", "ship", "api/orders.go", "rest.NewResource(", "rest.OldResource(", "rest.NewResource"},
		{"no methods", "ship", "shopapi/shopapi.go", "\nvar (", "\nfunc _(", "shopapi.go:"},
		{"no Target", "ship", "shopapi/shopapi.go", "var Target =", "var Other =", "var Target"},
		{"another name for the client", "ship", "api/orders.go", "client   *rpc.Client", "bus *rpc.Client", "ordersController.client"},
		{"other tests", "ship", "manager/manager_test.go", "func newClient(", "func newPair(", "newClient"},
		{"an odd version", "ship", "shopapi/shopapi.go", `Version: "1.0"`, `Version: "one"`, `the version "one"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			folder := newProject(t, shop)
			if c.path != "" {
				path := filepath.Join(folder, filepath.FromSlash(c.path))
				text := read(t, path)
				if !strings.Contains(text, c.old) {
					t.Fatalf("%s has no %s", path, c.old)
				}
				write(t, path, strings.Replace(text, c.old, c.new, 1))
			}
			before := tree(t, folder)
			_, err := scaffold.Method{Name: c.method}.Plan(folder)
			var (
				name   *scaffold.NameError
				edit   *scaffold.EditError
				exists *scaffold.ExistsError
			)
			if !errors.As(err, &name) && !errors.As(err, &edit) && !errors.As(err, &exists) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v; want %q in it", err, c.want)
			}
			if diff := cmp.Diff(before, tree(t, folder)); diff != "" {
				t.Errorf("something was written: %s", diff)
			}
		})
	}
}

// Of several resources one is to be named.
func TestMethodOfAResource(t *testing.T) {
	t.Parallel()
	folder := newProject(t, shop)
	write(t, filepath.Join(folder, "api", "crates.go"), `package api

import "github.com/goslo/goslo/rest"

type cratesController struct{ client *rpc.Client }

func (c cratesController) authorize(context.Context, string) (string, error) { return "", nil }

func (c cratesController) resource() rest.Resource {
	return rest.NewResource("shops/{shop_id}/crates", "crate", rest.Show(c.show))
}
`)
	if _, err := (scaffold.Method{Name: "open"}).Plan(folder); err == nil || !strings.Contains(err.Error(), "both ") {
		t.Errorf("planned for one of two: %v", err)
	}
	add(t, folder, scaffold.Method{Name: "open", Resource: "crates"})
	if text := read(t, folder, "api", "crates.go"); !strings.Contains(text, `rest.ActionResult("open", c.open),`) {
		t.Errorf("added elsewhere:\n%s", text)
	}
	if text := read(t, folder, "api", "open.go"); !strings.Contains(text, "(c cratesController) open(") || !strings.Contains(text, `"crates:open"`) {
		t.Errorf("the controller is another:\n%s", text)
	}
}

// A file of a name that Go reads as a constraint would not be built everywhere.
func TestMethodsFilesAreBuilt(t *testing.T) {
	t.Parallel()
	folder := newProject(t, shop)
	for _, name := range []string{"load_test", "boot_windows", "test"} {
		add(t, folder, scaffold.Method{Name: name})
	}
	for _, file := range []string{"load_test_method.go", "boot_windows_method.go", "test.go"} {
		read(t, folder, "manager", file)
	}
}

func TestMethodNeedsAProject(t *testing.T) {
	t.Parallel()
	if _, err := (scaffold.Method{Name: "ship"}).Plan(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no go.mod") {
		t.Errorf("planned in an empty folder: %v", err)
	}
}

// When a change cannot be written, those before it are taken back.
func TestWriteTakesBack(t *testing.T) {
	t.Parallel()
	folder := newProject(t, shop)
	changes, err := scaffold.Method{Name: "ship"}.Plan(folder)
	if err != nil {
		t.Fatal(err)
	}
	before := tree(t, folder)
	changes.Files = append(changes.Files, scaffold.Change{Path: filepath.Join(folder, "gone", "x.go"), Edited: true})
	if err := changes.Write(); err == nil {
		t.Fatal("a file in no folder was written")
	}
	if diff := cmp.Diff(before, tree(t, folder)); diff != "" {
		t.Errorf("not all was taken back: %s", diff)
	}
}

// tree returns all files below a folder.
func tree(t *testing.T, folder string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files[path] = read(t, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
