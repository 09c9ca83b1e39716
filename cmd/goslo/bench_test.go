package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
)

// benchSpent is what goslo bench --json says of one side.
type benchSpent struct {
	CPU      float64 `json:"cpu_ms"`
	Memory   int64   `json:"peak_memory_bytes"`
	Sent     int64   `json:"sent_bytes"`
	Received int64   `json:"received_bytes"`
	Unknown  string  `json:"bytes_not_known"`
}

// benched is what goslo bench --json says.
type benched struct {
	Operations, Failed int64
	Rate               float64
	Latency            struct{ P50, P90, P99, Max float64 } `json:"latency_ms"`
	Delivery           struct{ Expected, Received int64 }
	Callers            benchSpent
	Servers            struct {
		Where string
		Names []string
		PIDs  []int
		Spent *benchSpent
	}
	Histogram   []struct{ Count int64 }
	Interrupted bool
}

func benchedOf(t *testing.T, text string) (b benched) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	var sum int64
	for _, bucket := range b.Histogram {
		sum += bucket.Count
	}
	if sum != b.Operations {
		t.Errorf("the histogram has %d of %d operations", sum, b.Operations)
	}
	return b
}

// quick is a short bench.
var quick = []string{"--count", "300", "--warmup", "0", "--callers", "4", "--timeout", "30s"}

// TestBench has each kind measured, on servers that the command starts by itself, in a process of their own.
//
// conforms: SIM-01, SIM-03, SIM-04
func TestBench(t *testing.T) {
	t.Parallel()
	for _, bus := range []string{"embedded", "rabbit"} {
		t.Run(bus, func(t *testing.T) {
			t.Parallel()
			s := newShell(t)
			if bus == "rabbit" {
				s = s.with("GOSLO_URL=" + brokertest.Rabbit(t).URL())
			}
			for _, kind := range []string{"call", "cast", "fanout", "notify"} {
				args := append([]string{"bench", kind, "--json", "--servers", "2", "--own-topic", "bench-" + kind}, quick...)
				b := benchedOf(t, s.run(t, args...).want(t, 0).out)
				want := int64(300)
				if kind == "fanout" {
					want = 600
				}
				if b.Operations != 300 || b.Failed != 0 || b.Delivery.Received != want || b.Delivery.Expected != want {
					t.Errorf("%s: %+v", kind, b)
				}
				if b.Servers.Where != "child" || len(b.Servers.Names) != 2 || len(b.Servers.PIDs) != 1 || b.Servers.Spent == nil {
					t.Fatalf("%s: servers %+v", kind, b.Servers)
				}
				for _, side := range []benchSpent{b.Callers, *b.Servers.Spent} {
					// 200 bytes travel in each message, one way at the least.
					if side.CPU <= 0 || side.Memory < 1<<20 || side.Sent+side.Received < 300*200 || side.Unknown != "" {
						t.Errorf("%s: a side has spent %+v", kind, side)
					}
				}
			}
			if bus == "rabbit" {
				brokertest.Await(t, "the queues of the benches to go", func() bool {
					return !slices.ContainsFunc(brokertest.Rabbit(t).ListQueues(t, "/"), func(q brokertest.Queue) bool {
						return strings.HasPrefix(q.Name, "bench-call") || strings.HasPrefix(q.Name, "bench-notify")
					})
				})
			}
		})
	}
}

// TestBenchForPeople looks at what is printed and drawn.
func TestBenchForPeople(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "calls.svg")
	r := newShell(t).run(t, append([]string{"bench", "call", "--url", "memory://", "--svg", file}, quick...)...).want(t, 0)
	for _, text := range []string{
		"bench call on memory:///", "4 callers, closed loop, 200 B and 10 context keys, 300 calls", "1 server in this process",
		"throughput", "p99.9", "callers and servers", "not known", "up to ", "errors      0",
	} {
		if !strings.Contains(r.out, text) {
			t.Errorf("the output lacks %q:\n%s", text, r.out)
		}
	}
	r.wantErr(t, "4 callers")
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	d := xml.NewDecoder(f)
	figures := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "text" {
			for _, a := range e.Attr {
				if a.Name.Local == "class" && a.Value == "t" {
					figures++
				}
			}
		}
	}
	if figures != 4 {
		t.Errorf("%d charts are drawn, want 4", figures)
	}
}

// TestBenchOfAStalledServer stops a server for a while: that shows in the percentiles of a bench at a rate.
func TestBenchOfAStalledServer(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	server := s.start(t, "bench", "server", "lab", "--json", "--server", "h1")
	server.wait(t, "serving")
	load := s.start(t, "bench", "call", "lab", "--rate", "200", "--duration", "4s", "--warmup", "0", "--callers", "4", "--json", "--timeout", "30s")
	server.wait(t, "second") // the first second has passed
	if err := server.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	const stall = time.Second
	<-time.After(stall)
	if err := server.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	line := load.wait(t, "operation")
	code, _ := load.end(t, 0)
	b := benchedOf(t, line)
	// A quarter of the time was the stall. Four callers, had they waited for it, would have been half a per cent of all.
	if code != 0 || b.Operations != 800 || b.Latency.P90 < 300 || b.Latency.Max < 900 {
		t.Errorf("exit code %d, %+v", code, b)
	}
	if b.Servers.Where != "elsewhere" || len(b.Servers.PIDs) != 1 || b.Servers.PIDs[0] != server.cmd.Process.Pid {
		t.Errorf("servers %+v", b.Servers)
	}
	if code, rest := server.end(t, syscall.SIGINT); code != 0 || !strings.Contains(rest, `"received":800`) {
		t.Errorf("the server ended with %d: %s", code, rest)
	}
}

// TestBenchInterrupted has the result so far.
//
// conforms: SIM-12
func TestBenchInterrupted(t *testing.T) {
	t.Parallel()
	p := newShell(t).start(t, "bench", "call", "--duration", "10m", "--warmup", "0")
	p.waitErr(t, "calls/s")
	code, out := p.end(t, syscall.SIGINT)
	if code != 130 || !strings.Contains(out, "interrupted: this is what was measured until then") || !strings.Contains(out, "throughput") {
		t.Errorf("exit code %d: %s\n%s", code, out, p.err)
	}
}

// TestBenchCountsBytes compares what is told of the wire with what a proxy has seen.
func TestBenchCountsBytes(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	proxy := brokertest.NewProxy(t, node.Addr())
	var sent, received atomic.Int64
	proxy.Tap(func(_ int, toBroker bool, piece []byte) {
		if toBroker {
			sent.Add(int64(len(piece)))
		} else {
			received.Add(int64(len(piece)))
		}
	})
	s := newShell(t)
	server := s.start(t, "bench", "server", "bench-bytes", "--until-done", "--json", "--url", node.URL())
	server.wait(t, "serving")
	through := strings.Replace(node.URL(), node.Addr(), proxy.Addr(), 1)
	b := benchedOf(t, s.run(t, "bench", "call", "bench-bytes", "--url", through, "--count", "300", "--size", "5000", "--warmup", "0", "--json").want(t, 0).out)
	for _, side := range []struct {
		what      string
		got, seen int64
	}{{"sent", b.Callers.Sent, sent.Load()}, {"received", b.Callers.Received, received.Load()}} {
		// The proxy has seen the connections' beginning and end, too.
		if less := side.seen - side.got; less < 0 || less > 40<<10 || side.got < 300*5000 {
			t.Errorf("%s: %d bytes, and the proxy saw %d", side.what, side.got, side.seen)
		}
	}
	if code, rest := server.end(t, 0); code != 0 || !strings.Contains(rest, `"received":300`) {
		t.Errorf("the server ended with %d when the bench was done: %s", code, rest)
	}
}

// TestBenchTellsThatItsServersDied beside what the callers saw of it.
func TestBenchTellsThatItsServersDied(t *testing.T) {
	t.Parallel()
	p := newShell(t).start(t, "bench", "call", "--duration", "2s", "--timeout", "1s", "--warmup", "0")
	p.waitErr(t, "1 server in a process of its own")
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range stats {
		text, _ := os.ReadFile(file) // the process may have ended
		// proc_pid_stat(5): id, name in parentheses, state, parent.
		id, rest, _ := strings.Cut(string(text), " ")
		fields := strings.Fields(rest[strings.LastIndexByte(rest, ')')+1:])
		if len(fields) < 2 || fields[1] != strconv.Itoa(p.cmd.Process.Pid) {
			continue
		}
		pid, err := strconv.Atoi(id)
		if err == nil {
			err = syscall.Kill(pid, syscall.SIGKILL)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	code, rest := p.end(t, 0)
	if code == 0 || !strings.Contains(p.err.String(), "the process of the servers: signal: killed") {
		t.Errorf("exit code %d, printed %s\n%s", code, rest, p.err)
	}
}

// TestBenchFailures have the exit codes of what they are.
func TestBenchFailures(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.run(t, "bench", "call", "nobody").want(t, 3).wantErr(t, "not served by goslo bench server")
	r := s.run(t, "bench", "call", "nobody", "--method", "x", "--count", "2", "--warmup", "0").want(t, 3)
	if !strings.Contains(r.out, "2  no server: ") || !strings.Contains(r.out, "of the servers nothing is known") {
		t.Errorf("printed %s", r.out)
	}
	r = s.run(t, "bench", "call", "--url", "memory://", "--count", "4", "--callers", "4", "--wait", "30ms", "--workers", "1", "--timeout", "100ms", "--warmup", "0")
	if r.code != 6 && r.code != 4 {
		t.Errorf("some calls were late, and the exit code is %d: %s", r.code, r.out)
	}
	s.run(t, "bench", "call", "--url", "rabbit://127.0.0.1:1/").want(t, 5)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"call", "--callers", "0"}, "--callers is 0"},
		{[]string{"call", "--rate", "0"}, "a rate is above zero"},
		{[]string{"call", "--rate", "NaN"}, "--rate is NaN"},
		{[]string{"call", "--rate", "Inf"}, "--rate is +Inf"},
		{[]string{"call", "--rate", "5", "--pause", "1s"}, "exclude each other"},
		{[]string{"cast", "--count", "0"}, "--count is 0"},
		{[]string{"call", "--size", "-1"}, "--size: "},
		{[]string{"call", "--size", "1", "--sizes", "x"}, "exclude each other"},
		{[]string{"call", "--sizes", "/nosuch"}, "/nosuch"},
		{[]string{"call", "--svg", "/nosuch/file.svg"}, "--svg"},
		{[]string{"call", "--method", "x"}, "needs the TOPIC"},
		{[]string{"call", "--args", "{}"}, "with --method only"},
		{[]string{"call", "lab", "--workers", "3"}, "run already"},
		{[]string{"fanout", "lab/h1"}, "a fanout goes to all"},
		{[]string{"server"}, "usage: goslo bench server TOPIC"},
		{[]string{"server", "lab", "--batch", "3"}, "--notifications"},
		{[]string{"server", "lab", "--notifications", "--batch", "3", "--requeue"}, "as a whole"},
		{[]string{"nosuch"}, "unknown command"},
	} {
		s.run(t, append([]string{"bench"}, test.args...)...).want(t, 2).wantErr(t, test.want)
	}
}
