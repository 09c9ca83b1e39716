package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/goslo/goslo/internal/brokertest"
)

// in returns a shell of the same user in another folder.
func (s *shell) in(folder string) *shell {
	other := *s
	other.folder = folder
	return &other
}

// A workshop is where a project was written, and is worked on.
type workshop struct {
	shell  *shell // in the project
	folder string
	bin    string // of its programs
	env    []string
}

// with returns a workshop whose programs have more variables.
func (w workshop) with(variables ...string) workshop {
	w.env = append(w.env[:len(w.env):len(w.env)], variables...)
	return w
}

// golang runs the go command in the project.
func (w workshop) golang(t *testing.T, args ...string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "go", args...)
	c.Dir = w.folder
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// start starts one of its programs on a bus, with an API on a free port.
func (w workshop) start(t *testing.T, url, program string, args ...string) *process {
	t.Helper()
	c := exec.CommandContext(t.Context(), filepath.Join(w.bin, program), args...)
	c.Dir = w.folder
	c.Env = append(os.Environ(), "OS_DEFAULT__TRANSPORT_URL="+url, "OS_DEFAULT__HEALTH_LISTEN=", "OS_API__LISTEN=127.0.0.1:0", "OS_MANAGER__WORK_TIME=0.2")
	for _, v := range w.shell.env {
		if strings.HasPrefix(v, "XDG_RUNTIME_DIR=") {
			c.Env = append(c.Env, v)
		}
	}
	c.Env = append(c.Env, w.env...)
	return startProcess(t, c)
}

// Whoever types the first line of the README has a service that runs, is tested, and grows.
func TestNew(t *testing.T) { //nolint:tparallel // the project changes after its subtests
	t.Parallel()
	s := newShell(t).in(t.TempDir())
	got := s.run(t, "new", "shop").want(t, 0)
	for _, text := range []string{"write  shop/cmd/all/main.go", "go run ./cmd/all"} {
		if !strings.Contains(got.out, text) {
			t.Errorf("not said: %s\n%s", text, got.out)
		}
	}
	s.run(t, "new", "shop").want(t, 2).wantErr(t, "shop exists, and is not empty")
	w := workshop{folder: filepath.Join(s.folder, "shop"), bin: t.TempDir()}
	w.shell = s.in(w.folder)

	w.golang(t, "build", "-o", w.bin, "./cmd/...")
	t.Run("in one process", w.testAll)
	t.Run("on RabbitMQ", w.testRabbit)
	t.Run("with Keystone", w.testKeystone)

	flow := w.shell.run(t, "flow").want(t, 0).out
	for _, line := range []string{
		"POST /v1/{project_id}/orders", "call shopapi.CreateOrder", "cast shopapi.ProcessOrder", "process_order, topic shop, version 1.0", "manager.(*Manager).ProcessOrder",
	} {
		if !strings.Contains(flow, line) {
			t.Errorf("goslo flow lacks %q:\n%s", line, flow)
		}
	}

	if strings.Contains(flow, "no handler") {
		t.Errorf("goslo flow ends before the manager:\n%s", flow)
	}

	w.shell.in(filepath.Join(w.folder, "api")).run(t, "new", "method", "RefundOrder").want(t, 0)
	w.shell.run(t, "new", "method", "ship_order", "--cast").want(t, 0)
	w.shell.run(t, "new", "method", "ship_order", "--cast").want(t, 2).wantErr(t, "ShipOrder is declared already")
	w.golang(t, "test", "./...")
}

// Other names make another project, which works as well.
func TestNewOfOtherNames(t *testing.T) {
	t.Parallel()
	s := newShell(t).in(t.TempDir())
	s.run(t, "new", "ip-fleet", "--module", "example.com/teams/fleet", "--topic", "fleet.workers", "--resource", "floating_ip").want(t, 0)
	w := workshop{folder: filepath.Join(s.folder, "ip-fleet")}
	w.shell = s.in(w.folder)
	w.shell.run(t, "new", "method", "run_on_linux", "--cast").want(t, 0)
	w.golang(t, "test", "./api", "./cmd/all")
}

// testAll pastes what is printed.
func (w workshop) testAll(t *testing.T) {
	bus := ""
	for _, v := range w.shell.env {
		if url, ok := strings.CutPrefix(v, "GOSLO_URL="); ok {
			bus = url
		}
	}
	p := w.start(t, bus, "all")
	p.wait(t, "shop is ready: REST http://127.0.0.1:")
	status, _, made := typed(t, p.wait(t, "curl -i ")).send(t)
	if status != http.StatusAccepted || made.Order.ID == "" {
		t.Errorf("created with %d, %+v", status, made)
	}
	list := typed(t, p.wait(t, "curl -i "))
	if status, body, _ := list.send(t); status != http.StatusOK || !strings.Contains(body, made.Order.ID) {
		t.Errorf("listed with %d, %s", status, body)
	}
	list.url += "/" + made.Order.ID
	brokertest.Await(t, "the work to be done", func() bool {
		status, body, shown := list.send(t)
		if status != http.StatusOK {
			t.Fatalf("shown with %d, %s", status, body)
		}
		return shown.Order.Status == "DONE"
	})
	if code, rest := p.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("ended with %d\n%s%s", code, rest, p.err)
	}
}

// testRabbit runs both programs as processes of their own, with nothing but another URL.
func (w workshop) testRabbit(t *testing.T) {
	node := brokertest.Rabbit(t)
	bus := node.URLVhost(node.NewVhost(t))
	const conf = "etc/shop/shop.conf"
	api := w.start(t, bus, "shop-api", "--config-file", conf)
	address := regexp.MustCompile(`at=([0-9.:]+)`).FindStringSubmatch(api.waitErr(t, "the API is answered"))
	create := request{
		method: http.MethodPost, url: "http://" + address[1] + "/v1/demo/orders", body: `{"order": {"name": "first"}}`,
		header: http.Header{"Content-Type": {"application/json"}, "X-Auth-Token": {"admin:demo"}},
	}
	if status, body, _ := create.send(t); status != http.StatusServiceUnavailable {
		t.Errorf("without a manager it is created with %d, %s", status, body)
	}
	manager := w.start(t, bus, "shop-manager", "--config-file", conf)
	var made answer
	brokertest.Await(t, "the manager to listen", func() bool {
		var status int
		status, _, made = create.send(t)
		return status == http.StatusAccepted
	})
	show := create
	show.method, show.body = http.MethodGet, ""
	show.url += "/" + made.Order.ID
	brokertest.Await(t, "the work to be done", func() bool {
		_, _, shown := show.send(t)
		return shown.Order.Status == "DONE"
	})
	for _, p := range []*process{api, manager} {
		if code, rest := p.end(t, syscall.SIGTERM); code != 0 {
			t.Errorf("ended with %d\n%s%s", code, rest, p.err)
		}
	}
}

// testKeystone has a real Keystone say who asks.
func (w workshop) testKeystone(t *testing.T) {
	node := brokertest.Keystone(t)
	service, member, reader := node.NewUser(t, "shop", "service"), node.NewUser(t, "member", "member"), node.NewUser(t, "reader", "reader")
	w = w.with("OS_API__AUTH_STRATEGY=keystone", "OS_KEYSTONE_AUTHTOKEN__HTTP_REQUEST_MAX_RETRIES=0",
		"OS_KEYSTONE_AUTHTOKEN__USERNAME="+service.Name, "OS_KEYSTONE_AUTHTOKEN__PASSWORD="+service.Password, "OS_KEYSTONE_AUTHTOKEN__PROJECT_NAME="+service.ProjectName,
		"OS_KEYSTONE_AUTHTOKEN__USER_DOMAIN_ID=default", "OS_KEYSTONE_AUTHTOKEN__PROJECT_DOMAIN_ID=default")
	ask := func(keystone, project, token, body string, status int, text string) {
		t.Helper()
		p := w.with("OS_KEYSTONE_AUTHTOKEN__AUTH_URL="+keystone).start(t, "memory://", "all")
		url := strings.TrimSuffix(strings.Fields(p.wait(t, "shop is ready: REST http://"))[4], ",")
		r := request{
			method: http.MethodPost, url: url + "/v1/" + project + "/orders", body: body,
			header: http.Header{"Content-Type": {"application/json"}, "X-Auth-Project-Id": {project}, "X-Auth-Token": {token}},
		}
		if got, body, _ := r.send(t); got != status || !strings.Contains(body, text) {
			t.Errorf("answered with %d %s; want %d with %s", got, body, status, text)
		}
		p.end(t, syscall.SIGTERM)
	}
	const order = `{"order": {"name": "first"}}`
	ask(node.URL(), member.ProjectID, node.Token(t, member), order, http.StatusAccepted, `"QUEUED"`)
	ask(node.URL(), member.ProjectID, "no-token-of-keystone", order, http.StatusUnauthorized, "")
	ask(node.URL(), reader.ProjectID, node.Token(t, reader), order, http.StatusForbidden, "orders:create")
	ask(node.URL(), member.ProjectID, node.Token(t, member), `{"order": {"name": true}}`, http.StatusBadRequest, "order.name")
	ask("http://"+closedPort(t), member.ProjectID, node.Token(t, member), order, http.StatusServiceUnavailable, "")
}

// A request is one of curl's.
type request struct {
	method, url, body string
	header            http.Header
}

var words = regexp.MustCompile(`'[^']*'|\S+`)

// typed reads a curl line as a shell and curl would.
func typed(t *testing.T, line string) *request {
	t.Helper()
	r := &request{method: http.MethodGet, header: make(http.Header)}
	all := words.FindAllString(line, -1)
	for i := range all {
		all[i] = strings.Trim(all[i], "'")
	}
	for i := 1; i < len(all); i++ { // after curl
		switch all[i] {
		case "-i":
		case "-X":
			i++
			r.method = all[i]
		case "-d":
			i++
			r.body = all[i]
		case "-H":
			i++
			name, value, _ := strings.Cut(all[i], ": ")
			r.header.Set(name, value)
		default:
			r.url = all[i]
		}
	}
	if !strings.HasPrefix(r.url, "http://") {
		t.Fatalf("no URL in %s", line)
	}
	return r
}

// An answer is one about an order.
type answer struct {
	Order struct{ ID, Status string }
}

func (r *request) send(t *testing.T) (status int, body string, a answer) {
	t.Helper()
	out, err := http.NewRequestWithContext(t.Context(), r.method, r.url, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	out.Header, out.Close = r.header, true
	in, err := http.DefaultClient.Do(out)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(in.Body)
	if err = errors.Join(err, in.Body.Close()); err != nil {
		t.Fatal(err)
	}
	_ = json.Unmarshal(text, &a) // a fault has no order
	return in.StatusCode, string(text), a
}

func TestNewDryRun(t *testing.T) {
	t.Parallel()
	s := newShell(t).in(t.TempDir())
	var said struct {
		Folder string
		Files  []string
		DryRun bool `json:"dry_run"`
	}
	got := s.run(t, "new", "fleet", "--resource", "vehicle", "--module", "example.com/fleet", "--dry-run", "--json").want(t, 0)
	if err := json.Unmarshal([]byte(got.out), &said); err != nil || !said.DryRun || said.Folder != "fleet" || !strings.Contains(got.out, "fleet/manager/vehicles.go") {
		t.Errorf("%v: %s", err, got.out)
	}
	if entries, err := os.ReadDir(s.folder); err != nil || len(entries) > 0 {
		t.Errorf("written: %v, %v", entries, err)
	}
	if got := s.run(t, "new", "fleet", "--dry-run").want(t, 0); !strings.Contains(got.out, "would write  fleet/go.mod") {
		t.Errorf("said: %s", got.out)
	}
}

// In a workspace go builds what go.work lists, and nothing else.
func TestNewInWorkspace(t *testing.T) {
	t.Parallel()
	s := newShell(t).in(t.TempDir())
	if err := os.WriteFile(filepath.Join(s.folder, "go.work"), []byte("go 1.26.0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.env = append(s.env[:len(s.env):len(s.env)], "GOWORK=")
	const use = "go work use ."
	if got := s.run(t, "new", "shop").want(t, 0); !strings.Contains(got.out, "cd shop\n  "+use+"\n  go run") {
		t.Errorf("not said: %s\n%s", use, got.out)
	}
	w := workshop{folder: filepath.Join(s.folder, "shop")}
	w.golang(t, strings.Fields(use)[1:]...)
	w.golang(t, "vet", "./...")
}

// Without the network, the cause is said, and not everything that is missing.
func TestNewWithoutNetwork(t *testing.T) {
	t.Parallel()
	s := newShell(t).in(t.TempDir())
	s.env = append(s.env[:len(s.env):len(s.env)], "GOPROXY=off", "GOMODCACHE="+t.TempDir())
	got := s.run(t, "new", "shop").want(t, 1)
	got.wantErr(t, "run go mod tidy in shop", "GOPROXY=off")
	if n := strings.Count(got.err, "\n"); n > 15 {
		t.Errorf("%d lines:\n%s", n, got.err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	s := newShell(t).in(t.TempDir())
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"new"}, "usage: goslo new NAME"},
		{[]string{"new", "Shop"}, `"Shop" cannot be a project's name`},
		{[]string{"new", "shop", "--resource", "Order"}, "cannot be a resource's name"},
		{[]string{"new", "shop", "--topic", "a b"}, "cannot be a topic"},
		{[]string{"new", "shop", "--replace", "/nosuch"}, "/nosuch"},
		{[]string{"new", "method"}, "usage: goslo new method NAME"},
		{[]string{"new", "method", "ship"}, "no go.mod"},
		{[]string{"new", "method", "9"}, "cannot be a method's name"},
		{[]string{"new", "method", "ship", "--call", "--cast"}, "one of --call and --cast"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			t.Parallel()
			s.run(t, c.args...).want(t, 2).wantErr(t, c.want, "see goslo new")
		})
	}
}
