package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/cloudtest"
)

// A tappedCloud is an all-Python cloud that goslo listens in on.
type tappedCloud struct {
	*cloudtest.Cloud

	shell *shell
}

// start starts goslo with the management API.
func (c tappedCloud) start(t *testing.T, args ...string) *process {
	t.Helper()
	return c.shell.start(t, append(args, "--management", c.Node.ManagementURL())...)
}

func (c tappedCloud) run(t *testing.T, args ...string) result {
	t.Helper()
	return c.shell.run(t, append(args, "--management", c.Node.ManagementURL())...)
}

func (c tappedCloud) tracing(t *testing.T) bool {
	t.Helper()
	return c.Node.Eval(t, fmt.Sprintf(`rabbit_trace:enabled(<<"%s">>)`, c.Vhost)) == "true"
}

// awaitTaps returns when there are so many.
func (c tappedCloud) awaitTaps(t *testing.T, want int) {
	t.Helper()
	brokertest.Await(t, fmt.Sprint("taps: ", want), func() bool {
		found := 0
		for _, r := range c.Node.ListConsumers(t, c.Vhost) {
			if strings.HasPrefix(r.Queue, "goslo.tap.") {
				found++
			}
		}
		return found == want
	})
}

const tappedID = "req-11111111-2222-3333-4444-555555555555"

// build has nova-api ask nova-conductor, which asks nova-compute.
func (c tappedCloud) build(t *testing.T, id string, seconds float64) {
	t.Helper()
	c.Build(t, "cmp-1", seconds, map[string]any{"request_id": id, "project_id": "p1", "user_id": "u1", "auth_token": "s3cret"})
}

// What listens in sees what passes by, and leaves nothing behind, whatever ends it.
func TestListeningIn(t *testing.T) { //nolint:tparallel // its parts look at the whole cloud, one after the other
	t.Parallel()
	cloud := cloudtest.Start(t, brokertest.RabbitManaged(t))
	c := tappedCloud{cloud, newShell(t).with("GOSLO_URL=" + cloud.URL)}
	c.build(t, "req-first", 0) // it has everybody make their queues for replies
	for _, test := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"tail", c.tail},
		{"tail without management", c.tailWithoutManagement},
		{"trace", c.trace},
		{"trace without firehose", c.traceWithoutFirehose},
		{"top", c.top},
		{"firehose ends", c.firehoseEnds},
		{"firehose needs an administrator", c.firehoseForbidden},
	} {
		t.Run(test.name, func(t *testing.T) {
			c.Unchanged(t, func() { test.run(t) })
		})
	}
	t.Run("tail with the firehose", c.tailFirehose) // failures are logged
}

func (c tappedCloud) tail(t *testing.T) {
	asJSON := c.start(t, "tail", "--json", "--count", "2", "--args")
	asText := c.start(t, "tail", "compute", "--method", "sl*", "--count", "1", "--exchange", "ignored")
	c.awaitTaps(t, 2)
	asText.waitErr(t, "listening")
	c.build(t, tappedID, 0)

	var got []map[string]any
	for line := range strings.Lines(asJSON.out.rest()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		caller, _ := m["caller"].(string)
		m["caller"], _, _ = strings.Cut(caller, ":")
		got = append(got, m)
	}
	want := []map[string]any{{
		"kind": "call", "target": map[string]any{"exchange": "nova", "topic": "conductor"}, "method": "build", "version": "3.0", "request_id": tappedID,
		"project": "p1", "user": "u1", "caller": "nova-api", "args": map[string]any{"host": "cmp-1", "seconds": 0.0, "admin_pass": "***"},
	}, {
		"kind": "call", "target": map[string]any{"exchange": "nova", "topic": "compute", "server": "cmp-1"}, "method": "sleep", "version": "6.0", "request_id": tappedID,
		"project": "p1", "user": "u1", "caller": "nova-conductor", "args": map[string]any{"seconds": 0.0},
	}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreMapEntries(func(key string, _ any) bool { return key == "time" || key == "size" || key == "id" })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	text := asText.out.rest()
	for _, part := range []string{"TIME", "call", "compute/cmp-1", "sleep 6.0", tappedID, "p1", "u1", "nova-conductor:"} {
		if !strings.Contains(text, part) {
			t.Errorf("the text lacks %q:\n%s", part, text)
		}
	}
}

func (c tappedCloud) tailWithoutManagement(t *testing.T) {
	c.shell.run(t, "tail", "--management", "off").want(t, 5).wantErr(t, "name the topics")
	c.shell.run(t, "tail", "nosuch", "--management", "off", "--exchange", "nova").want(t, 3)
	c.shell.run(t, "tail", "--slow", "1s").want(t, 2).wantErr(t, "--firehose")
	named := c.shell.start(t, "tail", "conductor", "compute/cmp-1", "--management", "off", "--exchange", "nova", "--count", "2")
	wild := c.shell.start(t, "tail", "compute.*", "--management", "off", "--exchange", "nova", "--count", "1")
	named.waitErr(t, "not seen: requests to single servers")
	named.waitErr(t, "listening")
	wild.waitErr(t, "time out")
	wild.waitErr(t, "listening")
	c.build(t, tappedID, 0)
	if text := named.out.rest(); !strings.Contains(text, "build 3.0") || !strings.Contains(text, "sleep 6.0") {
		t.Errorf("named: %s", text)
	}
	if text := wild.out.rest(); !strings.Contains(text, "sleep 6.0") {
		t.Errorf("with a pattern: %s", text)
	}
}

// branches are a tree of goslo trace, with what is the same each time.
func branches(all []any) (lines []string) {
	program := func(who any) string {
		text, _ := who.(string)
		name, _, _ := strings.Cut(text, ":")
		return name
	}
	for _, one := range all {
		b, _ := one.(map[string]any)
		o, _ := b["outcome"].(map[string]any)
		servers, _ := o["servers"].([]any)
		by := ""
		for _, s := range servers {
			by += " " + program(s)
		}
		target, _ := b["target"].(map[string]any)
		lines = append(lines, fmt.Sprint(program(b["caller"]), " ", b["kind"], " ", target["topic"], ".", b["method"], " ", o["state"], " by", by))
		children, _ := b["children"].([]any)
		for _, line := range branches(children) {
			lines = append(lines, "  "+line)
		}
	}
	return lines
}

func (c tappedCloud) trace(t *testing.T) {
	var collected atomic.Int64 // bytes
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body) // a part is told by what is missing
		collected.Add(n)
	}))
	defer collector.Close()
	asJSON := c.start(t, "trace", tappedID, "--firehose", "300s", "--json", "--otlp", collector.URL)
	asJSON.waitErr(t, "the firehose is on")
	asText := c.start(t, "trace", "--method", "bui*", "--firehose", "300s")
	asText.waitErr(t, "left on")
	asText.waitErr(t, "waiting for")
	c.awaitTaps(t, 2)
	c.build(t, "req-other", 0)
	c.build(t, tappedID, 0.2)

	line := asJSON.out.rest()
	var got struct {
		RequestID string `json:"request_id"`
		TraceID   string `json:"trace_id"`
		Complete  bool
		Took      float64 `json:"took_ms"`
		Requests  []any
	}
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		t.Fatalf("%q: %v\n%s", line, err, asJSON.err)
	}
	want := []string{"nova-api call conductor.build answered by nova-conductor", "  nova-conductor call compute.sleep answered by nova-compute"}
	if diff := cmp.Diff(want, branches(got.Requests)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.RequestID != tappedID || !got.Complete || got.Took < 200 {
		t.Errorf("got %s, complete %t, %v ms", got.RequestID, got.Complete, got.Took)
	}
	if got.TraceID != strings.ReplaceAll(tappedID[4:], "-", "") || collected.Load() < 500 {
		t.Errorf("%d bytes for a collector, of trace %q", collected.Load(), got.TraceID)
	}
	text := asText.out.rest()
	for _, part := range []string{"CALLER", "QUEUE", "RUN", "nova-api:", "\n  nova-conductor:", "compute/cmp-1", "ok", "req-other: 2 requests, "} {
		if !strings.Contains(text, part) {
			t.Errorf("the text lacks %q:\n%s", part, text)
		}
	}
}

// The tap alone sees requests, and says what it does not see.
func (c tappedCloud) traceWithoutFirehose(t *testing.T) {
	p := c.start(t, "trace", tappedID, "--for", "10s", "--json")
	c.awaitTaps(t, 1)
	c.build(t, tappedID, 0)
	var got struct {
		Requests []struct{ Method, Caller string }
		Unseen   []string
		Complete bool
	}
	if err := json.Unmarshal([]byte(p.out.rest()), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Requests) != 2 || got.Complete || !strings.Contains(strings.Join(got.Unseen, "\n"), "--firehose") || !strings.HasPrefix(got.Requests[1].Caller, "nova-conductor:") {
		t.Errorf("got %+v", got)
	}
	c.run(t, "trace", "req-nobody", "--for", "1s").want(t, 4).wantErr(t, "req-nobody passed by")
	c.run(t, "trace").want(t, 2)
	c.run(t, "trace", "req-1", "--otlp", "localhost").want(t, 2).wantErr(t, "--firehose")
}

// childOf is the one child of a process, which any of its threads may have started.
func childOf(t *testing.T, pid int) int {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if child, isNumber := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && isNumber == nil {
			return child
		}
	}
	t.Fatalf("process %d has no child", pid)
	return 0
}

// Whatever ends the tool, or its guard, the firehose is off then, and the tap gone. What was on before stays on.
func (c tappedCloud) firehoseEnds(t *testing.T) {
	for name, end := range map[string]func(*process){
		"kill -9": func(p *process) { _ = p.cmd.Process.Kill() },
		"Ctrl-C":  func(p *process) { _ = p.cmd.Process.Signal(os.Interrupt) },
		"time":    nil,
		"its guard's death": func(p *process) {
			guard := childOf(t, p.cmd.Process.Pid)
			if err := syscall.Kill(guard, syscall.SIGKILL); err != nil {
				t.Error(err)
			}
			_ = p.cmd.Process.Signal(os.Interrupt)
		},
	} {
		limit := "600s"
		if end == nil {
			limit = "2s"
		}
		p := c.start(t, "tail", "--firehose", limit)
		p.waitErr(t, "the firehose is on")
		if end != nil {
			if !c.tracing(t) {
				t.Errorf("%s: the firehose is off before", name)
			}
			c.awaitTaps(t, 1)
			end(p)
		}
		brokertest.Await(t, name+": the firehose is off", func() bool { return !c.tracing(t) })
		c.awaitTaps(t, 0)
	}
	c.Node.Eval(t, fmt.Sprintf(`rabbit_trace:start(<<"%s">>).`, c.Vhost))
	p := c.start(t, "tail", "--firehose", "600s")
	p.waitErr(t, "left on")
	p.end(t, syscall.SIGINT)
	if !c.tracing(t) {
		t.Error("the firehose was on before, and is off")
	}
	c.Node.Eval(t, fmt.Sprintf(`rabbit_trace:stop(<<"%s">>).`, c.Vhost))
}

// Who may not switch the firehose is told so, and what to do.
func (c tappedCloud) firehoseForbidden(t *testing.T) {
	c.Node.AddUser(t, "tapping", "s3cret")
	c.Node.SetPermissions(t, "tapping", c.Vhost, ".*", ".*", ".*")
	s := c.shell.with("GOSLO_URL=" + strings.Replace(c.URL, "guest:guest", "tapping:s3cret", 1))
	manage := []string{"tail", "--firehose", "10s", "--management", c.Node.ManagementURL()}
	s.run(t, manage...).want(t, 5).wantErr(t, `"tapping"`, "tag")
	c.Node.Eval(t, `rabbit_auth_backend_internal:set_tags(<<"tapping">>, [monitoring], <<"brokertest">>).`)
	s.run(t, manage...).want(t, 5).wantErr(t, `"tapping"`, "administrator")
	s.run(t, "tail", "--firehose", "10s", "--management", "off").want(t, 5).wantErr(t, "management")
	c.Node.SetPermissions(t, "tapping", c.Vhost, "^nova", ".*", ".*")
	s.run(t, "tail", "--management", c.Node.ManagementURL()).want(t, 5).wantErr(t, "goslo.tap.", "ACCESS_REFUSED")
}

// A slow request is told of while it is, and a failure with its reason, less secrets.
func (c tappedCloud) tailFirehose(t *testing.T) {
	p := c.start(t, "tail", "--firehose", "300s", "--json", "--count", "3")
	p.waitErr(t, "the firehose is on")
	slow := c.start(t, "tail", "--firehose", "300s", "--slow", "1s", "--count", "2", "--method", "sleep")
	slow.waitErr(t, "listening")
	c.awaitTaps(t, 2)
	c.shell.run(t, "call", "compute/cmp-1", "fail", `{"text": "the password=hunter2 is wrong"}`, "--version", "6.0", "--exchange", "nova").want(t, 1)
	c.shell.run(t, "cast", "nowhere", "nothing", "--exchange", "nova").want(t, 3)
	c.Call(t, cloudtest.API, cloudtest.Request{Topic: cloudtest.ComputeTopic, Server: "cmp-1", Version: "6.0", Method: "sleep", Args: map[string]any{"seconds": 3}}, nil)
	var states []string
	for line := range strings.Lines(p.out.rest()) {
		var got struct {
			Method  string
			Outcome struct {
				State, Failure string
				Took           float64 `json:"took_ms"`
			}
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		states = append(states, strings.TrimSpace(got.Method+" "+got.Outcome.State+" "+got.Outcome.Failure))
		if got.Method == "sleep" && got.Outcome.Took < 3000 {
			t.Errorf("sleep took %v ms", got.Outcome.Took)
		}
	}
	if diff := cmp.Diff([]string{"fail failed builtins.ValueError: the password=*** is wrong", "nothing nobody", "sleep answered"}, states); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if text := slow.out.rest(); !strings.Contains(text, "RUNNING") || !strings.Contains(text, "ok  in 3.") {
		t.Errorf("slow requests:\n%s", text)
	}
	start := time.Now()
	brokertest.Await(t, "the firehose is off", func() bool { return !c.tracing(t) })
	t.Logf("the firehose was off %s later", time.Since(start))
}
