package program_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/rpc"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

// Each is a program in a process of its own.
func TestProgram(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "project-manager")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./testdata/project-manager").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, test := range map[string]func(*testing.T, string){
		"life": testLife, "second signal": testSecondSignal, "failure": testFailure, "bus away": testBusAway, "mistakes": testMistakes, "done": testDone,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, binary)
		})
	}
}

// A process is a project-manager, with a systemd that listens.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	dir  string
	gone chan struct{} // closed when it has ended

	mu      sync.Mutex
	stderr  bytes.Buffer
	systemd []string
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.Write(b)
}

// said is what it wrote to standard error.
func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.String()
}

// told is what systemd has heard, signs of life left out.
func (p *process) told() (lines []string, alive int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.systemd {
		if l == "WATCHDOG=1" {
			alive++
		} else {
			lines = append(lines, l)
		}
	}
	return lines, alive
}

// start runs the program with the text as its file.
func start(t *testing.T, binary, conf string, args ...string) *process {
	t.Helper()
	p := &process{t: t, dir: t.TempDir(), gone: make(chan struct{})}
	p.configure(conf)
	var lc net.ListenConfig
	socket, err := lc.ListenPacket(t.Context(), "unixgram", filepath.Join(p.dir, "notify"))
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		b := make([]byte, 4096)
		for {
			n, _, err := socket.ReadFrom(b)
			if err != nil {
				return
			}
			p.mu.Lock()
			p.systemd = append(p.systemd, string(b[:n]))
			p.mu.Unlock()
		}
	}()
	p.cmd = exec.Command(binary, append([]string{"--config-file", p.path("project.conf")}, args...)...)
	p.cmd.Dir, p.cmd.Stderr = p.dir, p
	p.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+p.path("notify"), "WATCHDOG_USEC=200000")
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.gone)
		_ = p.cmd.Wait() // the exit code is looked at
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.gone
		_ = socket.Close()
		<-heard
		if t.Failed() {
			t.Logf("the program said:\n%s", p.said())
		}
	})
	return p
}

func (p *process) path(name string) string { return filepath.Join(p.dir, name) }

func (p *process) configure(conf string) {
	p.t.Helper()
	if err := os.WriteFile(p.path("project.conf"), []byte(conf), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// awaitTold waits until systemd has heard so much, and returns it.
func (p *process) awaitTold(n int) []string {
	p.t.Helper()
	brokertest.Await(p.t, fmt.Sprintf("systemd to hear %d times", n), func() bool { lines, _ := p.told(); return len(lines) >= n })
	lines, _ := p.told()
	return lines
}

// exit waits for the end.
func (p *process) exit() int {
	p.t.Helper()
	select {
	case <-p.gone:
	case <-time.After(30 * time.Second):
		p.t.Fatal("the program does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// get asks the health socket.
func (p *process) get(path string) (code int, body string) {
	p.t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", p.path("health"))
	}}}
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://project"+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	answer, err := c.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

// wantGet asks for what must be answered so, and have all the words.
func (p *process) wantGet(path string, code int, words ...string) {
	p.t.Helper()
	got, body := p.get(path)
	if got != code {
		p.t.Errorf("%s: %d: %s; want %d", path, got, body, code)
	}
	for _, w := range words {
		if !strings.Contains(body, w) {
			p.t.Errorf("%s does not say %s: %s", path, w, body)
		}
	}
}

var (
	greet = rpc.NewCall[rpc.Args, string](rpc.Target{Topic: "manager"}, "greet")
	sleep = rpc.NewCall[rpc.Args, string](rpc.Target{Topic: "manager"}, "sleep")
	spoil = rpc.NewCall[rpc.Args, string](rpc.Target{Topic: "manager"}, "spoil")
)

func newClient(t *testing.T, url string) *rpc.Client {
	t.Helper()
	bus, err := goslo.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	client := rpc.NewClient(bus, rpc.ClientConfig{Timeout: 30 * time.Second})
	t.Cleanup(func() {
		if err := errors.Join(client.Close(context.Background()), bus.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
	return client
}

func conf(url string, more ...string) string {
	return "[DEFAULT]\ntransport_url = " + url + "\nhost = h1\nhealth_listen = unix:health\nlog_file = project.log\n" + strings.Join(more, "\n") + "\n"
}

// The life of a program: it tells systemd, answers probes, reloads, tells what runs, and drains.
func testLife(t *testing.T, binary string) {
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	p := start(t, binary, conf(node.URL(), "[manager]", "greeting = hello"))
	client := newClient(t, node.URL())
	if got := p.awaitTold(1); got[0] != "READY=1" {
		t.Fatalf("systemd heard %q", got)
	}
	p.wantGet("/livez", 200, `"running"`)
	p.wantGet("/startupz", 200, `"running"`)
	p.wantGet("/readyz", 200, `"server h1 on manager"`, `"bus"`)
	p.wantGet("/metrics", 200, "go_goroutines", "goslo_")
	if got, err := greet.Call(t.Context(), client, nil); err != nil || got != "hello" {
		t.Fatalf("%q, %v", got, err)
	}

	if err := os.Rename(p.path("project.log"), p.path("project.log.1")); err != nil {
		t.Fatal(err)
	}
	p.configure(conf(node.URL(), "[manager]", "greeting = bye"))
	p.signal(syscall.SIGHUP)
	got := p.awaitTold(3)
	usec, found := strings.CutPrefix(got[1], "RELOADING=1\nMONOTONIC_USEC=")
	if v, err := strconv.ParseInt(usec, 10, 64); !found || err != nil || v <= 0 || got[2] != "READY=1" {
		t.Errorf("systemd heard %q, %v", got, err)
	}
	if got, err := greet.Call(t.Context(), client, nil); err != nil || got != "bye" {
		t.Errorf("%q, %v after the reload", got, err)
	}
	log, err := os.ReadFile(p.path("project.log"))
	if err != nil || !strings.Contains(string(log), "reloaded") {
		t.Errorf("the log that was opened anew says %s, %v", log, err)
	}

	who, err := rpc.NewRequestContext(map[string]string{"request_id": "req-7", "user_id": "ann", "project_id": "lab"})
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		got, err := sleep.Call(rpc.WithContext(t.Context(), who), client, rpc.Args{"seconds": 3})
		if err == nil && got != "bye" {
			err = errors.New(got)
		}
		answered <- err
	}()
	var running struct {
		Requests []struct {
			Method    string  `json:"method"`
			RequestID string  `json:"request_id"`
			User      string  `json:"user"`
			Project   string  `json:"project"`
			Seconds   float64 `json:"seconds"`
		} `json:"requests"`
		Tasks []struct {
			Name string `json:"name"`
			Runs int    `json:"runs"`
		} `json:"tasks"`
	}
	brokertest.Await(t, "the request", func() bool {
		_, body := p.get("/debug/requests")
		return json.Unmarshal([]byte(body), &running) == nil && len(running.Requests) == 1
	})
	if r := running.Requests[0]; r.Method != "sleep" || r.RequestID != "req-7" || r.User != "ann" || r.Project != "lab" || r.Seconds <= 0 {
		t.Errorf("running: %+v", r)
	}
	if len(running.Tasks) != 1 || running.Tasks[0].Name != "report" || running.Tasks[0].Runs != 1 {
		t.Errorf("tasks: %+v", running.Tasks)
	}
	p.signal(syscall.SIGQUIT)
	brokertest.Await(t, "the dump", func() bool {
		said := p.said()
		return strings.Contains(said, "running, 1 requests running") && strings.Contains(said, "sleep (req-7) for ") && strings.Contains(said, "goroutine ")
	})

	p.signal(syscall.SIGTERM)
	if got := p.awaitTold(4); got[3] != "STOPPING=1" {
		t.Errorf("systemd heard %q", got)
	}
	p.wantGet("/readyz", 503, `"draining"`)
	p.wantGet("/livez", 200)
	if err := <-answered; err != nil {
		t.Errorf("the call that ran, and its follow-up: %v", err)
	}
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if _, alive := p.told(); alive == 0 {
		t.Error("systemd heard no sign of life")
	}
	if _, err := os.Stat(p.path("health")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

// A second signal does not wait, and the exit code tells.
func testSecondSignal(t *testing.T, binary string) {
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	p := start(t, binary, conf(node.URL(), "graceful_shutdown_timeout = 0"))
	client := newClient(t, node.URL())
	p.awaitTold(1)
	answered := make(chan error, 1)
	go func() {
		_, err := sleep.Call(t.Context(), client, rpc.Args{"seconds": 60})
		answered <- err
	}()
	brokertest.Await(t, "the request", func() bool { _, body := p.get("/debug/requests"); return strings.Contains(body, `"sleep"`) })
	p.signal(syscall.SIGINT)
	p.awaitTold(2)
	p.wantGet("/readyz", 503, "1 requests are running")
	p.signal(syscall.SIGTERM)
	var remote *rpc.RemoteError
	if err := <-answered; !errors.As(err, &remote) || !strings.Contains(remote.Message, "stopping") {
		t.Errorf("the call that ran: %v", err)
	}
	if code := p.exit(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if log, err := os.ReadFile(p.path("project.log")); err != nil || !strings.Contains(string(log), "cancelled after draining") || !strings.Contains(string(log), "sleep for") {
		t.Errorf("the log says %s, %v", log, err)
	}
}

// A part that fails is told of when it does, and not when all that still runs has ended.
func testFailure(t *testing.T, binary string) {
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	p := start(t, binary, conf(node.URL(), "graceful_shutdown_timeout = 0"))
	client := newClient(t, node.URL())
	p.awaitTold(1)
	answered := make(chan error, 1)
	go func() {
		_, err := sleep.Call(t.Context(), client, rpc.Args{"seconds": 60})
		answered <- err
	}()
	brokertest.Await(t, "the request", func() bool { _, body := p.get("/debug/requests"); return strings.Contains(body, `"sleep"`) })
	if _, err := spoil.Call(t.Context(), client, nil); err != nil {
		t.Error(err)
	}
	brokertest.Await(t, "the reason in the log", func() bool {
		log, err := os.ReadFile(p.path("project.log"))
		return err == nil && strings.Contains(string(log), "spoilt")
	})
	p.wantGet("/readyz", 503, "1 requests are running")
	p.signal(syscall.SIGTERM)
	p.signal(syscall.SIGINT)
	if err := <-answered; err == nil {
		t.Error("the call that ran was answered")
	}
	if code := p.exit(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
}

// A bus that is not there is waited for, which probes can see; it is no reason to end, a signal is.
func testBusAway(t *testing.T, binary string) {
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	url := node.URL()
	node.Stop(t)
	p := start(t, binary, conf(url))
	brokertest.Await(t, "the probe", func() bool { code, _ := p.get("/startupz"); return code == 503 })
	p.wantGet("/startupz", 503, `"starting"`)
	p.wantGet("/readyz", 503, `"starting"`, `"disconnected"`)
	p.wantGet("/livez", 200)
	if err := os.Rename(p.path("project.log"), p.path("project.log.1")); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP) // of logrotate, which is right to expect the log to be opened anew
	brokertest.Await(t, "the new log", func() bool { _, err := os.Stat(p.path("project.log")); return err == nil })
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got, _ := p.told(); len(got) != 1 || got[0] != "STOPPING=1" {
		t.Errorf("systemd heard %q", got)
	}
}

// A program whose own part is done ends, and does not go on with answering probes alone.
func testDone(t *testing.T, binary string) {
	p := start(t, binary, conf("memory://", "[manager]", "once = true"))
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d: %s", code, p.said())
	}
}

// What cannot be right ends the program at once, with a reason that names the option.
func testMistakes(t *testing.T, binary string) {
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	for name, c := range map[string]struct {
		conf string
		args []string
		code int
		says string
	}{
		"an option":       {conf("memory://", "[manager]", "greeting = a", "[DEFAULT]", "graceful_shutdown_timeout = soon"), nil, 1, "graceful_shutdown_timeout"},
		"a log format":    {conf("memory://", "logging_default_format_string = %(nonsense"), nil, 1, "logging_default_format_string"},
		"the URL":         {conf("rabit://host/"), nil, 1, "rabbit://"},
		"health_listen":   {"[DEFAULT]\ntransport_url = memory://\nhealth_listen = " + l.Addr().String() + "\n", nil, 1, "health_listen"},
		"another socket":  {"[DEFAULT]\ntransport_url = memory://\nhealth_listen = unix:project.conf\n", nil, 1, "something else than a socket"},
		"the log's place": {conf("memory://", "log_file = /nonexistent/project.log"), nil, 1, "/nonexistent/project.log"},
		"a flag":          {conf("memory://"), []string{"--nonsense"}, 1, "nonsense"},
		"no flag":         {conf("memory://"), []string{"config-file=x"}, 1, `argument "config-file=x" is not a flag`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, binary, c.conf, c.args...)
			if code := p.exit(); code != c.code || !strings.Contains(p.said(), c.says) {
				t.Errorf("exit code %d: %s; want %d and %q", code, p.said(), c.code, c.says)
			}
		})
	}
}
