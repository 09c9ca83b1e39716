package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCallPrintsTheResult(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.serve(t)
	file := filepath.Join(t.TempDir(), "args.json")
	if err := os.WriteFile(file, []byte(`{"arg": "from a file"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, stdin string
		args        []string
		want        string
	}{
		{"a string", "", []string{"echo", `{"arg": "hello"}`}, "\"hello\"\n"},
		{"no arguments", "", []string{"echo"}, "null\n"},
		{"all digits", "", []string{"echo", `{"arg": [123456789012345678901234567890, 1.10]}`}, "[\n  123456789012345678901234567890,\n  1.10\n]\n"},
		{"one line", "", []string{"echo", `{"arg": {"b": 1, "a": [1, 2]}}`, "--json"}, `{"b":1,"a":[1,2]}` + "\n"},
		{"standard input", `{"arg": "from a pipe"}` + "\n", []string{"echo", "-"}, "\"from a pipe\"\n"},
		{"a file", "", []string{"echo", "@" + file}, "\"from a file\"\n"},
		{"context", "", []string{"context", "--context", `{"user_id": "u1"}`, "--json"}, `{"user_id":"u1","client_timeout":null}` + "\n"},
		{"context from a file", "", []string{"context", "--context", "@" + file, "--json"}, `{"arg":"from a file","client_timeout":null}` + "\n"},
		{"monitored", "", []string{"context", "--context", "{}", "--monitor", "4", "--json"}, `{"client_timeout":4}` + "\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := s.runWith(t, test.stdin, append([]string{"call", "lab"}, test.args...)...).want(t, 0)
			if diff := cmp.Diff(test.want, got.out); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
			if got.err != "" {
				t.Errorf("standard error: %s", got.err)
			}
		})
	}
}

func TestCallOneServer(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.serve(t)
	other := s.start(t, "serve", "lab", "--server", "h2")
	other.wait(t, "ready")
	for _, server := range []string{"h1", "h2"} {
		var who struct{ Topic, Server string }
		got := s.run(t, "call", "lab/"+server, "whoami").want(t, 0)
		if err := json.Unmarshal([]byte(got.out), &who); err != nil || who.Server != server || who.Topic != "lab" {
			t.Errorf("lab/%s is %+v (%v)", server, who, err)
		}
	}
}

func TestRemoteFailure(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	server := s.serve(t)
	fail := []string{"call", "lab", "fail", `{"class": "InstanceNotFound", "module": "nova.exception", "message": "no vm-1"}`}
	got := s.run(t, fail...).want(t, 1)
	got.wantErr(t, "nova.exception.InstanceNotFound: no vm-1", "remote traceback", "($GOSLO_URL)")
	if strings.Count(got.err, "goslo:") != 1 || got.out != "" {
		t.Errorf("not printed once and on standard error alone:\n%s%s", got.out, got.err)
	}
	server.wait(t, "nova.exception.InstanceNotFound: no vm-1")

	var f struct {
		Error struct {
			Code                 int
			Kind, Message, Class string
			Traceback            []string
		}
	}
	got = s.run(t, append(fail, "--json")...).want(t, 1)
	if err := json.Unmarshal([]byte(got.err), &f); err != nil {
		t.Fatalf("standard error is not one JSON object: %v\n%s", err, got.err)
	}
	if f.Error.Code != 1 || f.Error.Kind != "remote-failure" || f.Error.Class != "nova.exception.InstanceNotFound" || len(f.Error.Traceback) == 0 {
		t.Errorf("error = %+v", f.Error)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.serve(t)
	s.run(t, "call", "lab", "sleep", `{"seconds": "a"}`).want(t, 1).wantErr(t, "TypeError", "types of the arguments")
	s.run(t, "call", "lab", "nosuch").want(t, 1).wantErr(t, "no such method", "--namespace")
	s.run(t, "call", "lab", "stop").want(t, 1).wantErr(t, "no such method")
	s.run(t, "call", "lab", "echo", "--version", "3.0").want(t, 1).wantErr(t, `version "3.0"`, "--version")
	s.run(t, "call", "lab", "echo", "--namespace", "nosuch").want(t, 1).wantErr(t, `namespace "nosuch"`)
	s.run(t, "call", "lab", "stop", "--namespace", "control", "--version", "2.1").want(t, 1).wantErr(t, `version "2.1"`)
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.serve(t)
	for _, command := range [][]string{
		{"call", "labb", "echo", "{}"},
		{"cast", "labb", "echo", "{}"},
		{"ping", "labb"},
		{"call", "lab/h9", "echo"},
	} {
		t.Run(strings.Join(command[:2], " "), func(t *testing.T) {
			t.Parallel()
			got := s.run(t, append(command, "--timeout", "30s")...).want(t, 3)
			topic, server, _ := strings.Cut(command[1], "/")
			got.wantErr(t, "nobody listens", topic, server)
			if got.took > 20*time.Second {
				t.Errorf("took %s", got.took)
			}
		})
	}
	// A fanout to nobody is no error.
	s.run(t, "fanout", "labb", "echo").want(t, 0)
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	server := s.serve(t)
	got := s.run(t, "call", "lab", "sleep", `{"seconds": 1e30}`, "--timeout", "0.3").want(t, 4)
	got.wantErr(t, "sleep on lab", "--timeout")
	server.wait(t, "sleep") // its deadline travels: the server gives up too, now and then before the caller does
}

func TestServerStandsStill(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.start(t, "broker").wait(t, "ready")
	server := s.serve(t)
	if err := server.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	got := s.run(t, "call", "lab", "echo", "--timeout", "0.5").want(t, 4)
	got.wantErr(t, "echo on lab", "timed out after", "--timeout")
	s.run(t, "ping", "lab/h1", "--timeout", "500ms").want(t, 4)
}

func TestInterruptedCall(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	server := s.start(t, "serve", "lab", "--json", "--log-level", "debug")
	server.wait(t, "serving")
	call := s.start(t, "call", "lab", "sleep", `{"seconds": 60}`)
	server.waitErr(t, "request taken")
	if code, _ := call.end(t, syscall.SIGINT); code != 130 {
		t.Errorf("exit code %d, want 130\n%s", code, call.err)
	}
}

func TestPing(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	server := s.serve(t)
	if got := s.run(t, "ping", "lab/h1").want(t, 0); !strings.HasPrefix(got.out, "lab/h1 answers after ") {
		t.Errorf("output: %s", got.out)
	}
	var pong struct {
		To    string
		Alive bool
		RTT   float64 `json:"rtt_ms"`
	}
	got := s.run(t, "ping", "lab", "--json").want(t, 0)
	if err := json.Unmarshal([]byte(got.out), &pong); err != nil || !pong.Alive || pong.To != "lab" || pong.RTT <= 0 {
		t.Errorf("pong = %+v (%v)", pong, err)
	}
	server.wait(t, "goslo_ping_ignore_errors")
	if strings.Contains(server.err.String(), "ERROR") {
		t.Errorf("a ping is an error in the server's log:\n%s", server.err)
	}
}

func TestCastAndFanout(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	one, two := s.serve(t), s.start(t, "serve", "lab", "--server", "h2")
	two.wait(t, "ready")

	got := s.run(t, "cast", "lab/h2", "echo", `{"arg": 1}`, "--context", `{"request_id": "req-cast"}`).want(t, 0)
	if !strings.Contains(got.out, "cast echo to lab/h2") || !strings.Contains(got.out, "req-cast") {
		t.Errorf("output: %s", got.out)
	}
	two.wait(t, "req-cast")

	got = s.run(t, "fanout", "lab", "echo", "--context", `{"request_id": "req-fanout"}`, "--json").want(t, 0)
	var sent struct {
		Sent, Method, To string
		RequestID        string `json:"request_id"`
	}
	if err := json.Unmarshal([]byte(got.out), &sent); err != nil || sent.Sent != "fanout" || sent.Method != "echo" || sent.To != "lab" || sent.RequestID != "req-fanout" {
		t.Errorf("sent = %+v (%v)", sent, err)
	}
	for _, server := range []*process{one, two} {
		if line := server.wait(t, "req-fanout"); !strings.Contains(line, "fanout") || !strings.HasSuffix(line, "ok") {
			t.Errorf("line: %s", line)
		}
	}
}
