package main

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
)

func TestRabbit(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	url := node.URLVhost(node.NewVhost(t))
	s := newShell(t).with("GOSLO_URL=" + url)
	server := s.serve(t)

	if got := s.run(t, "call", "lab", "echo", `{"arg": 12345678901234567890}`).want(t, 0); got.out != "12345678901234567890\n" {
		t.Errorf("output: %s", got.out)
	}
	s.run(t, "ping", "lab/h1").want(t, 0)
	s.run(t, "cast", "lab/h1", "echo", "--context", `{"request_id": "req-cast"}`).want(t, 0)
	server.wait(t, "req-cast")
	s.run(t, "fanout", "lab", "echo", "--context", `{"request_id": "req-fanout"}`).want(t, 0)
	server.wait(t, "req-fanout")
	s.run(t, "call", "lab", "fail", `{"class": "ValueError", "module": "builtins", "message": "no"}`).want(t, 1).wantErr(t, "ValueError: no")
	s.run(t, "call", "lab", "sleep", `{"seconds": 2}`, "--timeout", "0.5").want(t, 4).wantErr(t, "sleep on lab", "timed out")

	for _, topic := range []string{"nosuch", "lab/h9"} {
		got := s.run(t, "call", topic, "echo", "{}", "--url", url, "--timeout", "30s").want(t, 3)
		name, _, _ := strings.Cut(topic, "/")
		got.wantErr(t, "nobody listens", name, "guest:***@")
		t.Logf("call to %s: exit code 3 after %s", topic, got.took)
		if got.took > 10*time.Second {
			t.Errorf("call to %s took %s", topic, got.took)
		}
	}
	if code, rest := server.end(t, syscall.SIGTERM); code != 0 || !strings.Contains(rest, "stopped") {
		t.Errorf("the server ended with %d\n%s%s", code, rest, server.err)
	}
}

func TestServerDiesInTheMiddle(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	for name, flags := range map[string][]string{
		"until the deadline": {"--timeout", "3"},
		"monitored":          {"--timeout", "60", "--monitor", "2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShell(t).with("GOSLO_URL=" + node.URLVhost(node.NewVhost(t)))
			server := s.serve(t, "--log-level", "debug")
			call := s.start(t, append([]string{"call", "lab", "sleep", `{"seconds": 60}`}, flags...)...)
			server.waitErr(t, "request taken")
			server.end(t, syscall.SIGKILL)
			code, _ := call.end(t, 0)
			if said := call.err.String(); code != 4 || !strings.Contains(said, "nobody listens there") || !strings.Contains(said, "start the service again") {
				t.Errorf("exit code %d, want 4\n%s", code, said)
			}
		})
	}
}
