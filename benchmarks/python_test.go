package benchmarks_test

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A pythonEcho is a client and a server of real oslo.messaging, a process each.
type pythonEcho struct {
	in  io.Writer
	out *bufio.Scanner
}

const python = "/usr/bin/python3" // Debian's, which has python3-oslo.messaging

func newPythonEcho(b *testing.B, url string) *pythonEcho {
	b.Helper()
	if out, err := exec.Command(python, "-c", "import oslo_messaging").CombinedOutput(); err != nil {
		b.Fatalf("python's oslo.messaging is missing; install it: apt-get install -y python3-oslo.messaging\n%s", out)
	}
	start := func(role string) (io.Writer, *bufio.Scanner) {
		cmd := exec.Command(python, "python/echo.py", role, url)
		in := must(cmd.StdinPipe())(b)
		out := bufio.NewScanner(must(cmd.StdoutPipe())(b))
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		if !out.Scan() || out.Text() != "ready" {
			b.Fatalf("python %s said %q, not ready", role, out.Text())
		}
		return in, out
	}
	start("server")
	p := &pythonEcho{}
	p.in, p.out = start("client")
	return p
}

func (p *pythonEcho) contender() contender {
	return contender{"python", func(b *testing.B, callers int, d time.Duration) (float64, time.Duration) {
		b.Helper()
		var rate float64
		fmt.Fprintf(p.in, "%d %g\n", callers, d.Seconds())
		if !p.out.Scan() {
			b.Fatalf("the python client ended: %v", p.out.Err())
		}
		if _, err := fmt.Fscan(strings.NewReader(p.out.Text()), &rate); err != nil {
			b.Fatalf("the python client said %q", p.out.Text())
		}
		return rate, 0
	}}
}
