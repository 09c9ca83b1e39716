package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	interpreter = "/usr/bin/python3" // the one that Debian's packages install for
	install     = "apt-get install -y python3-oslo.messaging"
)

// orderLimit is the most time that a program may take over one order.
const orderLimit = 2 * time.Minute

// A Python is a running program of the folder python/. Its methods are safe for concurrent use.
type Python struct {
	program string
	cmd     *exec.Cmd
	errors  *lockedBuffer // standard error
	done    chan struct{} // closed when the program has ended
	err     error         // how; valid once done is closed

	mu      sync.Mutex
	input   io.WriteCloser // written with mu held: lines must not mix, and the program never stops reading
	last    int
	waiting map[int]chan answer
}

type answer struct {
	ID     int
	OK     json.RawMessage
	Broken string
}

// Start starts a program, such as client.py. Stop ends it.
func Start(program string) (*Python, error) {
	if _, err := exec.LookPath(interpreter); err != nil {
		return nil, fmt.Errorf("interop: Python is not installed (%w): run `%s`", err, install)
	}
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		return nil, errors.New("interop: the source folder is not known")
	}
	p := &Python{program: program, errors: &lockedBuffer{}, done: make(chan struct{}), waiting: map[int]chan answer{}}
	p.cmd = exec.Command(interpreter, "-u", filepath.Join(filepath.Dir(here), "python", program))
	p.cmd.Env = []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1"}
	p.cmd.Stderr = p.errors
	var err error
	if p.input, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	output, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("interop: start %s: %w", program, err)
	}
	go p.read(output)
	return p, nil
}

// read hands answers to those who wait for them, until the program ends.
func (p *Python) read(output io.Reader) {
	defer close(p.done)
	lines := bufio.NewReader(output)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		var a answer
		if json.Unmarshal(line, &a) != nil {
			continue // a library's own words
		}
		p.mu.Lock()
		waiting := p.waiting[a.ID]
		delete(p.waiting, a.ID)
		p.mu.Unlock()
		if waiting != nil {
			waiting <- a // buffered
		}
	}
	p.err = p.cmd.Wait()
}

// Do gives the program an order and stores its answer in result, a pointer or nil. Members of the order are the
// JSON members of order, a map or struct; op is added.
func (p *Python) Do(t testing.TB, op string, order map[string]any, result any) {
	t.Helper()
	reply := make(chan answer, 1)
	if err := p.order(op, order, reply); err != nil {
		t.Fatalf("interop: %s: %s: %v: %s", p.program, op, err, p.errors)
	}
	limit := time.NewTimer(orderLimit)
	defer limit.Stop()
	var a answer
	select {
	case a = <-reply:
	case <-p.done:
		t.Fatalf("interop: %s ended (%v): %s", p.program, p.err, p.errors)
	case <-limit.C:
		t.Fatalf("interop: %s: no answer to %s within %v: %s", p.program, op, orderLimit, p.errors)
	}
	if a.Broken != "" {
		t.Fatalf("interop: %s: %s: %s", p.program, op, a.Broken)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(a.OK, result); err != nil {
		t.Fatalf("interop: %s: %s: decode answer %s: %v", p.program, op, a.OK, err)
	}
}

func (p *Python) order(op string, order map[string]any, reply chan answer) error {
	members := map[string]any{"op": op}
	for k, v := range order {
		members[k] = v
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	members["id"] = p.last
	line, err := json.Marshal(members)
	if err != nil {
		return err
	}
	p.waiting[p.last] = reply
	_, err = p.input.Write(append(line, '\n'))
	return err
}

// PID is the program's process id.
func (p *Python) PID() int { return p.cmd.Process.Pid }

// Kill ends the program with SIGKILL and waits until it is gone.
func (p *Python) Kill() {
	_ = p.cmd.Process.Kill() // the error says that it has ended
	<-p.done
}

// Stop ends the program: it ends by itself at the end of its input, and is killed in case it does not.
func (p *Python) Stop() {
	_ = p.input.Close()
	p.Kill()
}

// lockedBuffer keeps the end of what a program writes to its standard error.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	const limit = 64 << 10
	if b.buf.Len() > limit {
		b.buf.Reset()
	}
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.TrimSpace(b.buf.String())
}
