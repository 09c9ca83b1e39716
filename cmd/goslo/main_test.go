package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/freeport"
)

// asGoslo makes this test binary be the command: the tests run the very main function, in processes of its own.
const asGoslo = "GOSLO_TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asGoslo) != "" {
		main()
	}
	brokertest.Main(m)
}

// patience bounds what a test waits for. Nothing takes so long unless it is broken.
const patience = 30 * time.Second

// A shell runs goslo as a user would, with an environment of its own.
type shell struct {
	env    []string
	folder string // "" = that of the tests
}

// newShell returns a shell whose embedded bus is its own: on a free port, with a runtime folder that nobody shares.
func newShell(t *testing.T) *shell {
	t.Helper()
	return &shell{env: []string{
		asGoslo + "=1", "XDG_RUNTIME_DIR=" + t.TempDir(), fmt.Sprintf("GOSLO_URL=embedded://:%d", freeport.One(t)),
	}}
}

// with returns a shell with one more variable.
func (s *shell) with(variable string) *shell {
	return &shell{env: append(s.env[:len(s.env):len(s.env)], variable), folder: s.folder}
}

func (s *shell) command(t *testing.T, args []string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), program, args...)
	c.Env = append(os.Environ(), s.env...)
	c.Dir = s.folder
	return c
}

// A result is what a command left behind.
type result struct {
	out, err string
	code     int
	took     time.Duration
}

// run runs a command to its end.
func (s *shell) run(t *testing.T, args ...string) result {
	t.Helper()
	return s.runWith(t, "", args...)
}

func (s *shell) runWith(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	c := s.command(t, args)
	var out, errs bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(stdin), &out, &errs
	start := time.Now()
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{out.String(), errs.String(), c.ProcessState.ExitCode(), time.Since(start)}
}

// want fails the test unless the command ended so.
func (r result) want(t *testing.T, code int) result {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit code %d, want %d\nstdout: %s\nstderr: %s", r.code, code, r.out, r.err)
	}
	return r
}

// wantErr wants each of the texts on standard error.
func (r result) wantErr(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(r.err, text) {
			t.Errorf("standard error lacks %q:\n%s", text, r.err)
		}
	}
}

// A process is a command that runs on.
type process struct {
	cmd *exec.Cmd
	out *stream
	err *stream
}

// start starts a command, which is killed at the end of the test if it still runs.
func (s *shell) start(t *testing.T, args ...string) *process {
	t.Helper()
	return startProcess(t, s.command(t, args))
}

func startProcess(t *testing.T, c *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: c}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errs, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.out, p.err = newStream(out), newStream(errs)
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		p.out.rest()
		p.err.rest()
		_ = p.cmd.Wait() // its outcome is the test's business, not the clean-up's
	})
	return p
}

// A stream is the lines that a process prints. Its goroutine ends with the process.
type stream struct {
	lines chan string // closed at the end

	mu  sync.Mutex
	all strings.Builder
}

func newStream(r io.Reader) *stream {
	s := &stream{lines: make(chan string, 10000)}
	go func() {
		defer close(s.lines)
		for in := bufio.NewScanner(r); in.Scan(); {
			s.mu.Lock()
			s.all.WriteString(in.Text() + "\n")
			s.mu.Unlock()
			s.lines <- in.Text()
		}
	}()
	return s
}

func (s *stream) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

// rest returns what comes until the end.
func (s *stream) rest() string {
	var b strings.Builder
	for line := range s.lines {
		b.WriteString(line + "\n")
	}
	return b.String()
}

// wait returns the next line of output that contains text; waitErr the next of standard error.
func (p *process) wait(t *testing.T, text string) string {
	t.Helper()
	return p.waitFor(t, p.out, text)
}

func (p *process) waitErr(t *testing.T, text string) string {
	t.Helper()
	return p.waitFor(t, p.err, text)
}

func (p *process) waitFor(t *testing.T, s *stream, text string) string {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		select {
		case line, ok := <-s.lines:
			if !ok {
				t.Fatalf("the output ended before %q\nstderr: %s", text, p.err)
			}
			if strings.Contains(line, text) {
				return line
			}
		case <-limit.C:
			t.Fatalf("no line with %q within %s\nstderr: %s", text, patience, p.err)
		}
	}
}

// end sends a signal (0 = none), waits for the process and returns its exit code and what it still printed.
func (p *process) end(t *testing.T, signal syscall.Signal) (code int, rest string) {
	t.Helper()
	if signal != 0 {
		if err := p.cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
	}
	limit := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() }) // which ends its output; the code tells
	defer limit.Stop()
	rest = p.out.rest()
	p.err.rest()
	_ = p.cmd.Wait() // the exit code tells the same
	return p.cmd.ProcessState.ExitCode(), rest
}

// serve starts goslo serve lab --server h1 and returns when it listens.
func (s *shell) serve(t *testing.T, args ...string) *process {
	t.Helper()
	p := s.start(t, append([]string{"serve", "lab", "--server", "h1"}, args...)...)
	p.wait(t, "ready")
	return p
}
