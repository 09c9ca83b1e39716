package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/freeport"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

// TestProcesses runs the cloud as its README says, six processes on a bus, and migrates.
func TestProcesses(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "cloud")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	rabbit := brokertest.Rabbit(t)
	for name, url := range map[string]string{"embedded": embedded(t), "rabbit": rabbit.URLVhost(rabbit.NewVhost(t))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testProcesses(t, program, url)
		})
	}
}

// embedded returns the URL of an embedded bus of the test's own.
func embedded(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("embedded://:%d", freeport.One(t))
}

func testProcesses(t *testing.T, program, bus string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	env := append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir(), "GOSLO_URL="+bus)
	start := func(args ...string) *daemon { return startService(ctx, t, env, program, args) }
	conductor := start("conductor", "-host", "ctl-1", "-instances", "vm-1=cmp-1", "-pin-compute", "6.0")
	scheduler := start("scheduler", "-host", "ctl-1", "-hosts", "cmp-1,cmp-2")
	first := start("compute", "-host", "cmp-1", "-instances", "vm-1", "-copying", "10ms")
	second := start("compute", "-host", "cmp-2", "-copying", "10ms")
	front := start("api", "-listen", "127.0.0.1:0")
	watch := start("watch")

	url := strings.TrimPrefix(front.ready, "ready ")
	if status, body := request(ctx, t, http.MethodPost, url+"/v1/servers/vm-1/action", `{"os-migrateLive": {"host": null}}`); status != http.StatusAccepted {
		t.Fatalf("status %d: %s", status, body)
	}
	for {
		var found struct {
			Server struct{ Host, Status, Fault string }
		}
		status, body := request(ctx, t, http.MethodGet, url+"/v1/servers/vm-1", "")
		if err := json.Unmarshal(body, &found); err != nil || status != http.StatusOK {
			t.Fatalf("status %d: %s (%v)", status, body, err)
		}
		if found.Server.Status == "ERROR" {
			t.Fatalf("the migration failed: %s", found.Server.Fault)
		}
		if found.Server.Status == "ACTIVE" && found.Server.Host == "cmp-2" {
			break
		}
	}
	for _, want := range []string{"start: vm-1 from cmp-1 to cmp-2, 0 %", "progress: vm-1 from cmp-1 to cmp-2, 25 %", "50 %", "75 %", "100 %", "end: vm-1"} {
		if line, err := watch.out.ReadString('\n'); err != nil || !strings.Contains(line, want) {
			t.Errorf("the watcher printed %q (%v), want %s", line, err, want)
		}
	}
	if status, body := request(ctx, t, http.MethodGet, url+"/v1/os-hypervisors/cmp-9/uptime", ""); status != http.StatusServiceUnavailable {
		t.Errorf("status %d: %s", status, body)
	}
	for _, p := range []*daemon{front, watch, first, second, scheduler, conductor} {
		p.stop(t)
	}
}

// daemon is one process of the cloud.
type daemon struct {
	cmd    *exec.Cmd
	out    *bufio.Reader
	ready  string // the first line that it printed
	stderr bytes.Buffer
}

func startService(ctx context.Context, t *testing.T, env []string, program string, args []string) *daemon {
	t.Helper()
	p := &daemon{cmd: exec.CommandContext(ctx, program, args...)}
	p.cmd.Env, p.cmd.Stderr = env, &p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // it has ended unless the test failed
	p.out = bufio.NewReader(out)
	line, err := p.out.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "ready") {
		_ = p.cmd.Wait() // what it printed tells more
		t.Fatalf("%v printed %q (%v)\n%s", args, line, err, &p.stderr)
	}
	p.ready = strings.TrimSpace(line)
	return p
}

func (p *daemon) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%s did not stop well: %v\n%s", p.cmd.Args[1], err, &p.stderr)
	}
}

func request(ctx context.Context, t *testing.T, method, url, body string) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, text
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	var stderr strings.Builder
	if err := run(t.Context(), nil, io.Discard, &stderr); err == nil || !strings.Contains(stderr.String(), "-pin-compute") {
		t.Errorf("error = %v, help:\n%s", err, stderr.String())
	}
	if err := run(t.Context(), []string{"nosuch", "-url", "memory://"}, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "nosuch") {
		t.Errorf("error = %v", err)
	}
	if err := run(t.Context(), []string{"conductor", "-url", "memory://", "-instances", "vm-1"}, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "id=host") {
		t.Errorf("error = %v", err)
	}
	if err := run(t.Context(), []string{"compute", "-url", "memory://", "cmp-1"}, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "cmp-1") {
		t.Errorf("error = %v", err)
	}
}

func TestHelpShowsNoPassword(t *testing.T) {
	t.Setenv("GOSLO_URL", "rabbit://u:s3cret@127.0.0.1:1/")
	var stderr strings.Builder
	if err := run(t.Context(), []string{"compute", "-h"}, io.Discard, &stderr); err != nil || !strings.Contains(stderr.String(), "$GOSLO_URL") || strings.Contains(stderr.String(), "s3cret") {
		t.Errorf("error = %v, help:\n%s", err, stderr.String())
	}
}
