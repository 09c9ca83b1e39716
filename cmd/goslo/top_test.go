package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/cloudtest"
)

// TestTopOfAPythonCloud has it sampled, for people and programs, and nothing changed by that.
func TestTopOfAPythonCloud(t *testing.T) {
	t.Parallel()
	c := cloudtest.Shared(t)
	s := newShell(t).with("GOSLO_URL=" + c.URL)
	c.Unchanged(t, func() {
		text := s.run(t, "top", "--once", "--sort", "topic", "--management", c.Node.ManagementURL()).want(t, 0)
		lines := strings.Split(strings.TrimSuffix(text.out, "\n"), "\n")
		lines = slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, "no queue takes ") }) // of another test's
		if len(lines) != 5 || strings.TrimPrefix(text.err, "goslo: asking the broker and servers\n") != "" {           // which is said when it takes a second
			t.Fatalf("%s%s", text.out, text.err)
		}
		for i, want := range []string{"vhost " + c.Vhost, "TOPIC↓", "cinder-volume ", "compute ", "conductor "} {
			if !strings.Contains(lines[i], want) {
				t.Errorf("line %d is %q, want %q", i+1, lines[i], want)
			}
		}
		if !strings.HasSuffix(lines[2], "1 without consumer") || !strings.HasSuffix(lines[3], "1 deaf") {
			t.Error(text.out)
		}
		var sample struct {
			Vhost  string
			Topics []struct {
				Topic                       string
				Servers, Listening, Unacked int
				RTTMS                       float64 `json:"rtt_ms"`
				State                       map[string]int
			}
		}
		got := s.run(t, "top", "compute", "--once", "--json", "--management", c.Node.ManagementURL()).want(t, 0)
		if err := json.Unmarshal([]byte(got.out), &sample); err != nil {
			t.Fatal(err)
		}
		compute := sample.Topics[0]
		if sample.Vhost != c.Vhost || len(sample.Topics) != 1 || compute.Topic != "compute" || compute.Servers != 2 || compute.Listening != 2 || compute.Unacked != cloudtest.HeldCasts ||
			compute.RTTMS <= 0 || compute.State["ok"]+compute.State["slow"] != 1 || compute.State["deaf"] != 1 {
			t.Error(got.out)
		}
		r := s.run(t, "top", "compute", "--once", "--management", "off").want(t, 0)
		if !strings.Contains(r.out, ": ? connections, ? queues\n") || !strings.Contains(r.out, "\ncompute       ?       ?") || !strings.Contains(r.err, "not seen: ") {
			t.Errorf("%s%s", r.out, r.err)
		}
		s.run(t, "top", "--sort", "size").want(t, 2).wantErr(t, `--sort "size" is not one of in, out`)
	})
}

// top has calls pass by that take long.
func (c tappedCloud) top(t *testing.T) {
	t.Helper()
	p := c.start(t, "top", "--once", "--json", "--firehose", "6s")
	c.awaitTaps(t, 1)
	brokertest.Await(t, "the firehose is on", func() bool { return c.tracing(t) })
	c.build(t, tappedID, 1) // the tap may be given a call late, which then seems to take less
	var sample struct {
		Traced bool
		Topics []struct {
			Topic string
			Calls struct {
				PerSecond       float64 `json:"per_second"`
				FailedPerSecond float64 `json:"failed_per_second"`
				P50MS           float64 `json:"p50_ms"`
				P95MS           float64 `json:"p95_ms"`
			}
		}
	}
	out := p.out.rest()
	if err := json.Unmarshal([]byte(out), &sample); err != nil {
		t.Fatalf("%v: %s%s", err, out, p.err.String())
	}
	for _, topic := range sample.Topics {
		calls := topic.Calls
		if busy := topic.Topic != "cinder-volume"; busy != (calls.PerSecond > 0) || busy && (calls.P50MS < 250 || calls.P95MS < calls.P50MS) || calls.FailedPerSecond != 0 {
			t.Errorf("%+v", topic)
		}
	}
	if !sample.Traced || len(sample.Topics) != 3 {
		t.Error(out)
	}
	brokertest.Await(t, "the firehose is off", func() bool { return !c.tracing(t) })
	c.awaitTaps(t, 0)
}

// TestTopGivesTheTerminalBack ends it by a key, by Ctrl-C as a key, and by a signal.
func TestTopGivesTheTerminalBack(t *testing.T) {
	t.Parallel()
	c := cloudtest.Shared(t)
	s := newShell(t).with("GOSLO_URL=" + c.URL).with("TERM=xterm").with("NO_COLOR=")
	c.Unchanged(t, func() { topOnATerminal(t, c, s) })
}

func topOnATerminal(t *testing.T, c *cloudtest.Cloud, s *shell) {
	t.Helper()
	for _, end := range []func(p *pty, pid int) error{
		func(p *pty, _ int) error { _, err := p.master.WriteString("q"); return err },
		func(p *pty, _ int) error { _, err := p.master.WriteString("\x03"); return err },
		func(_ *pty, pid int) error { return syscall.Kill(pid, syscall.SIGTERM) },
	} {
		p := openPTY(t)
		before, err := term.GetState(int(p.slave.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		goslo := s.command(t, []string{"top", "--interval", "1s", "--management", c.Node.ManagementURL()})
		goslo.Stdin, goslo.Stdout, goslo.Stderr = p.slave, p.slave, p.slave
		goslo.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		if err := goslo.Start(); err != nil {
			t.Fatal(err)
		}
		brokertest.Await(t, "the table is on the screen, with colours", func() bool { return strings.Contains(p.text(), "\x1b[31mcompute") })
		if _, err := p.master.WriteString("t"); err != nil {
			t.Fatal(err)
		}
		brokertest.Await(t, "it is sorted by topic", func() bool { return strings.Contains(p.text(), "TOPIC↓") })
		if err := unix.IoctlSetWinsize(int(p.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 4, Col: 60}); err != nil {
			t.Fatal(err)
		}
		brokertest.Await(t, "it is drawn anew in another size", func() bool { return strings.Contains(p.text(), "topics 1 to 1 of 3") })
		if err := end(p, goslo.Process.Pid); err != nil {
			t.Fatal(err)
		}
		if err := goslo.Wait(); err != nil {
			t.Errorf("it ended with %v:\n%q", err, p.text())
		}
		after, err := term.GetState(int(p.slave.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		if *before != *after {
			t.Errorf("the terminal is not as it was: %+v, was %+v", after, before)
		}
		brokertest.Await(t, "the shell's screen is back, with a cursor", func() bool { return strings.HasSuffix(p.text(), "\x1b[?25h\x1b[?1049l") })
	}
}

// A pty is a terminal whose screen is a test.
type pty struct {
	master, slave *os.File
	done          chan struct{}

	mu  sync.Mutex
	all []byte
}

// openPTY returns a terminal of 100 columns and 20 lines.
func openPTY(t *testing.T) *pty {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 20, Col: 100})
	}
	var slave *os.File
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := &pty{master: master, slave: slave, done: make(chan struct{})}
	go p.read()
	t.Cleanup(func() {
		_ = slave.Close() // the last one, which ends the reader
		<-p.done
		_ = master.Close()
	})
	return p
}

func (p *pty) read() {
	defer close(p.done)
	buf := make([]byte, 4096)
	for {
		n, err := p.master.Read(buf)
		p.mu.Lock()
		p.all = append(p.all, buf[:n]...)
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// text is all that was written.
func (p *pty) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.all)
}
