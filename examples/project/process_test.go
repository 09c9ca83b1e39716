package project_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
)

// build makes the program and returns its path.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "project-manager")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./project-manager").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// A process is a project-manager that runs as a process of its own.
type process struct {
	host, conf, state string

	cmd   *exec.Cmd
	http  *http.Client
	ended chan struct{} // the process is gone, and what it logged is read

	mu    sync.Mutex
	lines []line
}

// A line is one that was logged, and when it was read.
type line struct {
	text string
	at   time.Time
}

// prepare makes the files of a manager: an abandoned project of its state folder, and its configuration.
func prepare(t *testing.T, host, url string) *process {
	t.Helper()
	dir := t.TempDir()
	m := &process{host: host, conf: filepath.Join(dir, "project.conf"), state: filepath.Join(dir, "state"), ended: make(chan struct{})}
	if err := os.Mkdir(m.state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.state, "old.building"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m.configure(t, fmt.Sprintf(`[DEFAULT]
transport_url = %s
host = %s
health_listen = unix:%s
graceful_shutdown_timeout = 60
executor_thread_pool_size = 16
[manager]
state_path = %s
report_interval = 0.2
build_time = 0.05
`, strings.ReplaceAll(url, "$", "$$"), host, filepath.Join(dir, "http"), m.state))
	dialer := &net.Dialer{}
	m.http = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", filepath.Join(dir, "http"))
		},
	}}
	return m
}

// configure puts a new configuration in place of the old one.
func (m *process) configure(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(m.conf+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(m.conf+".new", m.conf); err != nil {
		t.Fatal(err)
	}
}

// replace changes the configuration, and waits until the manager has said something about it.
func (m *process) replace(t *testing.T, old, with, said string) {
	t.Helper()
	text, err := os.ReadFile(m.conf)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(old)) {
		t.Fatalf("no %q in %s", old, text)
	}
	from := m.logged()
	m.configure(t, strings.Replace(string(text), old, with, 1))
	m.signal(t, syscall.SIGHUP)
	m.await(t, from, said)
}

// start starts the manager, and waits until it is ready.
func (m *process) start(t *testing.T, program string) *process {
	t.Helper()
	m.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), program, "--config-file", m.conf)
	stderr, err := m.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(m.ended)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			m.mu.Lock()
			m.lines = append(m.lines, line{s.Text(), time.Now()})
			m.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		if m.cmd.ProcessState == nil {
			_ = m.cmd.Process.Kill() // the test has failed before its end
			<-m.ended
			_ = m.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("log of %s:\n%s", m.host, m.log())
		}
	})
	brokertest.Await(t, m.host+" to be ready", func() bool { return m.gone() || m.status(t, "/readyz") == http.StatusOK })
	if m.gone() {
		t.Fatalf("%s has ended:\n%s", m.host, m.log())
	}
	return m
}

func (m *process) gone() bool {
	select {
	case <-m.ended:
		return true
	default:
		return false
	}
}

func (m *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := m.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// stop waits for the end of a manager that was told to end, which must be a good one.
func (m *process) stop(t *testing.T) {
	t.Helper()
	select {
	case <-m.ended:
	case <-time.After(time.Minute):
		t.Fatalf("%s does not end", m.host)
	}
	if err := m.cmd.Wait(); err != nil {
		t.Errorf("%s has ended with %v", m.host, err)
	}
}

// logged is how many lines were logged so far.
func (m *process) logged() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.lines)
}

func (m *process) log() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	for _, l := range m.lines {
		b.WriteString(l.text + "\n")
	}
	return b.String()
}

// await waits for a line with all parts of said, which blanks separate, after the first so many.
func (m *process) await(t *testing.T, from int, said string) line {
	t.Helper()
	var found line
	brokertest.Await(t, m.host+" to log "+said, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, l := range m.lines[from:] {
			if contains(l.text, strings.Fields(said)...) {
				found = l
				return true
			}
		}
		return false
	})
	return found
}

func contains(text string, parts ...string) bool {
	for _, p := range parts {
		if !strings.Contains(text, p) {
			return false
		}
	}
	return true
}

// get reads a page of the manager's. Status 0 means that there is nobody.
func (m *process) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://manager"+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := m.http.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(answer.Body); err != nil {
		t.Error(err)
	}
	return answer.StatusCode, b.String()
}

func (m *process) status(t *testing.T, path string) int {
	t.Helper()
	status, _ := m.get(t, path)
	return status
}

// page reads a page that is JSON.
func (m *process) page(t *testing.T, path string) map[string]any {
	t.Helper()
	_, body := m.get(t, path)
	var page map[string]any
	if err := json.Unmarshal([]byte(body), &page); err != nil {
		t.Errorf("%s: %v\n%s", path, err, body)
	}
	return page
}

// files counts those in the state folder by their ending.
func (m *process) files(t *testing.T) map[string]int {
	t.Helper()
	entries, err := os.ReadDir(m.state)
	if err != nil {
		t.Fatal(err)
	}
	count := make(map[string]int)
	for _, e := range entries {
		count[filepath.Ext(e.Name())]++
	}
	return count
}
