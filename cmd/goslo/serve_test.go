package main

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"
)

func TestServeDrainsOnSIGTERM(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	// The bus is hosted by neither of the two, so that the end of the server is not the end of the bus.
	s.start(t, "serve", "other").wait(t, "ready")
	server := s.start(t, "serve", "lab", "--json", "--log-level", "debug")
	server.wait(t, "serving")
	call := s.start(t, "call", "lab", "sleep", `{"seconds": 1}`)
	server.waitErr(t, "request taken")
	code, rest := server.end(t, syscall.SIGTERM)
	if code != 0 {
		t.Errorf("exit code %d after SIGTERM\n%s", code, server.err)
	}
	if !strings.Contains(rest, `"method":"sleep"`) || !strings.Contains(rest, `"event":"stopped"`) {
		t.Errorf("the running request did not finish first:\n%s", rest)
	}
	if code, out := call.end(t, 0); code != 0 || !strings.HasPrefix(out, "1") {
		t.Errorf("the call ended with %d: %s%s", code, out, call.err)
	}
}

func TestServeStop(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.start(t, "serve", "other").wait(t, "ready")
	server := s.serve(t)
	got := s.run(t, "call", "lab", "stop", "--namespace", "control", "--version", "2.0").want(t, 0)
	if got.out != "null\n" {
		t.Errorf("stop() returned %s", got.out)
	}
	code, rest := server.end(t, 0)
	if code != 0 || !strings.Contains(rest, "control.stop") || !strings.Contains(rest, "requests served: 1") {
		t.Errorf("exit code %d, output:\n%s", code, rest)
	}
}

func TestServePrintsRequests(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	server := s.start(t, "serve", "lab", "--server", "h1", "--workers", "2", "--json")
	var serving struct {
		Event, Topic, Server, Bus string
		Workers                   int
	}
	if err := json.Unmarshal([]byte(server.wait(t, "serving")), &serving); err != nil || serving.Topic != "lab" || serving.Server != "h1" || serving.Workers != 2 {
		t.Errorf("serving = %+v (%v)", serving, err)
	}
	s.run(t, "call", "lab", "echo", "--context", `{"request_id": "req-1"}`).want(t, 0)
	var request struct {
		Event, Mode, Method string
		RequestID           string   `json:"request_id"`
		Duration            *float64 `json:"duration_ms"`
	}
	if err := json.Unmarshal([]byte(server.wait(t, `"request"`)), &request); err != nil || request.Mode != "call" ||
		request.Method != "echo" || request.RequestID != "req-1" || request.Duration == nil {
		t.Errorf("request = %+v (%v)", request, err)
	}
}

func TestBroker(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	broker := s.start(t, "broker")
	broker.wait(t, "ready")
	server := s.serve(t)
	s.run(t, "call", "lab", "echo", `{"arg": 1}`).want(t, 0)
	if code, _ := server.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("the server ended with %d\n%s", code, server.err)
	}
	// The topic outlives its server, as long as the broker runs.
	s.run(t, "cast", "lab", "echo").want(t, 0)
	if code, _ := broker.end(t, syscall.SIGINT); code != 0 {
		t.Errorf("the broker ended with %d\n%s", code, broker.err)
	}
}

func TestBrokerIsAlone(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	store := t.TempDir()
	broker := s.start(t, "broker", "--json", "--store", store)
	var ready struct{ Event, URL, Key, Keeps string }
	if err := json.Unmarshal([]byte(broker.wait(t, "ready")), &ready); err != nil || ready.Keeps != "in "+store {
		t.Errorf("ready = %+v (%v)", ready, err)
	}
	for _, v := range s.env {
		if url, ok := strings.CutPrefix(v, "GOSLO_URL="); ok && url != ready.URL {
			t.Errorf("the broker's URL is %s, not %s", ready.URL, url)
		}
	}
	s.run(t, "broker").want(t, 5).wantErr(t, "already")
	s.run(t, "broker", "--url", "rabbit://h/").want(t, 2).wantErr(t, "--listen")
	s.run(t, "broker", "--url", "embedded://name").want(t, 2).wantErr(t, "--listen")
}
