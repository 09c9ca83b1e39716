package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/management"
)

// A chain is three services in Python: conductor asks scheduler and tells compute.
type chain struct {
	node  *brokertest.RabbitNode
	vhost string
	shell *shell
}

func newChain(t *testing.T) chain {
	t.Helper()
	node := brokertest.RabbitManaged(t)
	vhost := node.NewVhost(t)
	url := node.URLVhost(vhost)
	var started []*process
	for topic, server := range map[string]string{"conductor": "ctl-1", "scheduler": "ctl-1", "compute": "cmp-1"} {
		started = append(started, startProcess(t, exec.CommandContext(t.Context(), "/usr/bin/python3", "testdata/chain.py", url, topic, server)))
	}
	for _, p := range started {
		p.wait(t, "ready")
	}
	c := chain{node, vhost, newShell(t).with("GOSLO_URL=" + url)}
	api, err := management.New(management.Config{URL: node.ManagementURL(), Vhost: vhost})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	c.call(t, "req-first") // it has conductor make its queue for replies
	// What the management API tells is some seconds old.
	brokertest.Await(t, "the management API tells of them", func() bool {
		seen, err := api.Consumers(t.Context())
		return err == nil && len(seen) >= 10 // each has three queues, and conductor its own for replies
	})
	return c
}

// manage adds where the management API is to a command line.
func (c chain) manage(args ...string) []string {
	return append(args, "--management", c.node.ManagementURL())
}

func (c chain) tracing(t *testing.T) bool {
	t.Helper()
	return c.node.Eval(t, fmt.Sprintf(`rabbit_trace:enabled(<<"%s">>)`, c.vhost)) == "true"
}

// call has conductor.build called.
func (c chain) call(t *testing.T, id string) {
	t.Helper()
	c.shell.run(t, "call", "conductor", "build", `{"name": "vm1", "admin_pass": "hunter2"}`, "--exchange", "nova", "--context",
		`{"request_id": "`+id+`", "project_id": "p1", "user_id": "u1", "auth_token": "hunter2"}`).want(t, 0)
}

// taps are what is left of taps at the broker.
func (c chain) taps(t *testing.T) (left []string) {
	t.Helper()
	for _, q := range c.node.ListQueues(t, c.vhost) {
		if strings.HasPrefix(q.Name, "goslo.tap.") {
			left = append(left, q.Name)
		}
	}
	return left
}

// untouched wants that nothing is left of a tool, and that the firehose is off.
func (c chain) untouched(t *testing.T) {
	t.Helper()
	if left := c.taps(t); len(left) > 0 {
		t.Errorf("left at the broker: %v", left)
	}
	if c.tracing(t) {
		t.Error("the firehose is on")
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	const id = "req-11111111-2222-3333-4444-555555555555"
	asJSON := c.shell.start(t, c.manage("tail", "--json", "--count", "3", "--args")...)
	asText := c.shell.start(t, c.manage("tail", "scheduler", "--method", "sel*", "--count", "1")...)
	asText.waitErr(t, "listening")
	brokertest.Await(t, "both taps are there", func() bool { return len(c.taps(t)) == 4 })
	c.call(t, id)

	var got []map[string]any
	for line := range strings.Lines(asJSON.out.rest()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		got = append(got, m)
	}
	for _, m := range got {
		caller, _ := m["caller"].(string)
		name, _, _ := strings.Cut(caller, ":")
		if name != "chain.py" {
			name = "" // a caller that is soon gone may be known, or not
		}
		m["caller"] = name
	}
	request := func(kind, topic, server, method, caller string, args map[string]any) map[string]any {
		target := map[string]any{"exchange": "nova", "topic": topic}
		if server != "" {
			target["server"] = server
		}
		return map[string]any{
			"kind": kind, "target": target, "method": method, "version": "1.0", "request_id": id, "project": "p1", "user": "u1", "caller": caller, "args": args,
		}
	}
	want := []map[string]any{
		request("call", "conductor", "", "build", "", map[string]any{"name": "vm1", "admin_pass": "***"}),
		request("call", "scheduler", "", "select", "chain.py", map[string]any{"name": "vm1"}),
		request("cast", "compute", "cmp-1", "boot", "", map[string]any{"name": "vm1"}),
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreMapEntries(func(key string, _ any) bool { return key == "time" || key == "size" || key == "id" })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	text := asText.out.rest()
	for _, part := range []string{"TIME", "call", "scheduler", "select 1.0", id, "p1", "u1", "chain.py:"} {
		if !strings.Contains(text, part) {
			t.Errorf("the text lacks %q:\n%s", part, text)
		}
	}
	c.untouched(t)
}

// branches are a tree of goslo trace, with what is the same each time.
func branches(t *testing.T, all []any) (lines []string) {
	t.Helper()
	for _, one := range all {
		b := one.(map[string]any)
		o := b["outcome"].(map[string]any)
		caller, _, _ := strings.Cut(b["caller"].(string), ":")
		if !strings.HasPrefix(caller, "chain") {
			caller = "somebody" // a caller that is soon gone may be known, or not
		}
		servers, _ := o["servers"].([]any)
		by := ""
		if len(servers) == 1 {
			by, _, _ = strings.Cut(servers[0].(string), ":")
		}
		target := b["target"].(map[string]any)
		lines = append(lines, fmt.Sprint(caller, " ", b["kind"], " ", target["topic"], ".", b["method"], " ", o["state"], " by ", by))
		children, _ := b["children"].([]any)
		for _, line := range branches(t, children) {
			lines = append(lines, "  "+line)
		}
	}
	return lines
}

func TestTrace(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	const id = "req-11111111-2222-3333-4444-555555555555"
	asJSON := c.shell.start(t, c.manage("trace", id, "--firehose", "60s", "--json")...)
	brokertest.Await(t, "the firehose is on", func() bool { return c.tracing(t) })
	asText := c.shell.start(t, c.manage("trace", "--method", "bui*", "--firehose", "60s")...)
	asText.waitErr(t, "left on")
	asText.waitErr(t, "waiting for")
	brokertest.Await(t, "both taps are there", func() bool { return len(c.taps(t)) == 4 })
	c.call(t, "req-0")
	c.call(t, id)

	var got map[string]any
	line := asJSON.out.rest()
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		t.Fatalf("%q: %v\n%s", line, err, asJSON.err.String())
	}
	want := []string{
		"somebody call conductor.build answered by chain.py",
		"  chain.py call scheduler.select answered by chain.py",
		"  chain.py cast compute.boot taken by chain.py",
	}
	if diff := cmp.Diff(want, branches(t, got["requests"].([]any))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got["request_id"] != id || got["complete"] != true || got["took_ms"].(float64) < 200 {
		t.Errorf("got %v, %v, %v ms", got["request_id"], got["complete"], got["took_ms"])
	}
	text := asText.out.rest()
	for _, part := range []string{"CALLER", "QUEUE", "RUN", "  chain.py:", "conductor", "select", "compute/cmp-1", "ok", "taken", "req-0: 3 requests, "} {
		if !strings.Contains(text, part) {
			t.Errorf("the text lacks %q:\n%s", part, text)
		}
	}
	brokertest.Await(t, "the firehose is off", func() bool { return !c.tracing(t) })
	c.untouched(t)
}

// The tap alone sees requests, and says what it does not see.
func TestTraceWithoutFirehose(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	p := c.shell.start(t, c.manage("trace", "req-1", "--for", "8s", "--json")...)
	brokertest.Await(t, "the tap is there", func() bool { return len(c.taps(t)) == 2 })
	c.call(t, "req-1")
	var got struct {
		Requests []struct{ Method, Caller string }
		Unseen   []string
		Complete bool
	}
	if err := json.Unmarshal([]byte(p.out.rest()), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Requests) != 3 || got.Complete || !strings.Contains(strings.Join(got.Unseen, "\n"), "--firehose") || !strings.HasPrefix(got.Requests[1].Caller, "chain.py:") {
		t.Errorf("got %+v", got)
	}
	c.shell.run(t, c.manage("trace", "req-nobody", "--for", "1s")...).want(t, 4).wantErr(t, "req-nobody passed by")
	c.untouched(t)
}

// Whatever ends the tool, the firehose is off then, and the tap gone.
func TestFirehoseEndsWithTheTool(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	for name, end := range map[string]func(*process){
		"kill -9": func(p *process) { _ = p.cmd.Process.Kill() },
		"Ctrl-C":  func(p *process) { _ = p.cmd.Process.Signal(os.Interrupt) },
		"time":    func(*process) {},
	} {
		limit := "600s"
		if name == "time" {
			limit = "2s"
		}
		p := c.shell.start(t, c.manage("tail", "--firehose", limit)...)
		p.waitErr(t, "the firehose is on")
		if name != "time" && !c.tracing(t) {
			t.Errorf("%s: the firehose is off before", name)
		}
		end(p)
		brokertest.Await(t, name+": the firehose is off, and the tap gone", func() bool { return !c.tracing(t) && len(c.taps(t)) == 0 })
	}
	// What was on before stays on.
	c.node.Eval(t, fmt.Sprintf(`rabbit_trace:start(<<"%s">>)`, c.vhost))
	p := c.shell.start(t, c.manage("tail", "--firehose", "600s")...)
	p.waitErr(t, "left on")
	_ = p.cmd.Process.Signal(os.Interrupt)
	p.err.rest()
	if !c.tracing(t) {
		t.Error("the firehose was on before, and is off")
	}
}

// Who may not switch the firehose is told so, and what to do.
func TestFirehoseNeedsAnAdministrator(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	c.node.AddUser(t, "nova", "hunter2")
	c.node.SetPermissions(t, "nova", c.vhost, ".*", ".*", ".*")
	url := strings.Replace(c.node.URLVhost(c.vhost), "guest:guest", "nova:hunter2", 1)
	s := c.shell.with("GOSLO_URL=" + url)
	s.run(t, c.manage("tail", "--firehose", "10s")...).want(t, 5).wantErr(t, `"nova"`, "tag")
	c.node.Ctl(t, "set_user_tags", "nova", "monitoring")
	s.run(t, c.manage("tail", "--firehose", "10s")...).want(t, 5).wantErr(t, `"nova"`, "administrator")
	s.run(t, "tail", "--firehose", "10s", "--management", "off").want(t, 5).wantErr(t, "management")
	c.untouched(t)
}

// A slow request is told of while it is, and a failure with its reason, less secrets.
func TestTailFirehose(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	p := c.shell.start(t, c.manage("tail", "--firehose", "60s", "--json", "--count", "3")...)
	slow := c.shell.start(t, c.manage("tail", "--firehose", "60s", "--slow", "1s", "--count", "2")...)
	p.waitErr(t, "firehose")
	slow.waitErr(t, "listening")
	c.shell.run(t, "call", "scheduler", "fail", "--exchange", "nova").want(t, 1)
	c.shell.run(t, "cast", "nowhere", "nothing", "--exchange", "nova")
	c.shell.run(t, "call", "scheduler", "sleep", `{"seconds": 3}`, "--exchange", "nova").want(t, 0)
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
	if diff := cmp.Diff([]string{"fail failed builtins.KeyError: 'the password=*** is wrong'", "nothing nobody", "sleep answered"}, states); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	text := slow.out.rest()
	if !strings.Contains(text, "RUNNING") || !strings.Contains(text, "ok  in 3.") || strings.Contains(text, "fail") {
		t.Errorf("slow requests:\n%s", text)
	}
	brokertest.Await(t, "the firehose is off", func() bool { return !c.tracing(t) })
}

// Without the management API, topics have to be named, and it is told what is not seen.
func TestTailWithoutManagement(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	c.shell.run(t, "tail", "--management", "off").want(t, 5).wantErr(t, "name the topics")
	c.shell.run(t, "tail", "nosuch", "--management", "off", "--exchange", "nova").want(t, 3)
	p := c.shell.start(t, "tail", "conductor", "compute/cmp-1", "--management", "off", "--exchange", "nova", "--count", "2")
	p.waitErr(t, "not seen: requests to single servers")
	p.waitErr(t, "listening")
	wild := c.shell.start(t, "tail", "compute.*", "--management", "off", "--exchange", "nova", "--count", "1")
	wild.waitErr(t, "time out")
	wild.waitErr(t, "listening")
	start := time.Now()
	c.call(t, "req-1")
	if text := p.out.rest(); !strings.Contains(text, "build") || !strings.Contains(text, "boot") {
		t.Errorf("after %s: %s", time.Since(start), text)
	}
	if text := wild.out.rest(); !strings.Contains(text, "boot") {
		t.Errorf("with a pattern: %s", text)
	}
	c.untouched(t)
}
