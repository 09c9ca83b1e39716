package compare_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const python = "/usr/bin/python3" // Debian's, which has python3-oslo.messaging

// A pythonProcess is a program on the real oslo.messaging that answers lines with lines. It ends with its input.
type pythonProcess struct {
	cmd        *exec.Cmd
	in         io.WriteCloser
	out        *bufio.Scanner
	complaints strings.Builder // valid once the process has ended
	end        func()
}

// startPython starts a program and returns when it is ready.
func startPython(tb testing.TB, args ...string) *pythonProcess {
	tb.Helper()
	p := &pythonProcess{cmd: exec.Command(python, args...)}
	p.in = must(p.cmd.StdinPipe())(tb)
	p.out = bufio.NewScanner(must(p.cmd.StdoutPipe())(tb))
	p.cmd.Stderr = &p.complaints
	p.cmd.Env = []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1"}
	if err := p.cmd.Start(); err != nil {
		tb.Fatalf("start python: %v; install it: apt-get install -y python3-oslo.messaging", err)
	}
	p.end = sync.OnceFunc(func() {
		_ = p.in.Close()
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	tb.Cleanup(p.end)
	if got := p.line(tb); got != "ready" {
		tb.Fatalf("python %s said %q, not ready", strings.Join(args, " "), got)
	}
	return p
}

func (p *pythonProcess) line(tb testing.TB) string {
	tb.Helper()
	if !p.out.Scan() {
		p.end()
		tb.Fatalf("python ended:\n%s", p.complaints.String())
	}
	return p.out.Text()
}

// A pythonOutcome is what a program says of its work. Times are in seconds.
type pythonOutcome struct {
	Count     int     `json:"count"`
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50"`
	P99       float64 `json:"p99"`
	Queued    int     `json:"queued"` // sent, the part that was not measured included
}

func (p *pythonProcess) ask(tb testing.TB, format string, args ...any) pythonOutcome {
	tb.Helper()
	if _, err := fmt.Fprintf(p.in, format+"\n", args...); err != nil {
		p.end()
		tb.Fatalf("python: %v:\n%s", err, p.complaints.String())
	}
	var o pythonOutcome
	if said := p.line(tb); json.Unmarshal([]byte(said), &o) != nil {
		tb.Fatalf("python said %q", said)
	}
	return o
}

func (o pythonOutcome) outcome() outcome {
	return outcome{o.Count, o.PerSecond, time.Duration(o.P50 * 1e9), time.Duration(o.P99 * 1e9)}
}

// cpuTime is the CPU time that a process has used, by the clock that the kernel has for each (CPUCLOCK_SCHED).
func (p *pythonProcess) cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var at unix.Timespec
	if err := unix.ClockGettime(int32(^p.cmd.Process.Pid<<3|2), &at); err != nil {
		tb.Fatalf("cpu time of python: %v", err)
	}
	return time.Duration(at.Nano())
}

// newPythonEcho is a client and a server of real oslo.messaging, a process each, as its services run.
func newPythonEcho(tb testing.TB, url string) contender {
	tb.Helper()
	server := startPython(tb, "python/echo.py", "server", url)
	client := startPython(tb, "python/echo.py", "client", url)
	return contender{
		name: "python",
		run: func(tb testing.TB, callers int, d time.Duration) outcome {
			tb.Helper()
			return client.ask(tb, "%d %g", callers, d.Seconds()).outcome()
		},
		cpu: func(tb testing.TB) time.Duration {
			tb.Helper()
			return client.cpuTime(tb) + server.cpuTime(tb)
		},
	}
}
