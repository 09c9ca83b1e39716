package main

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"

	"github.com/goslo/goslo/internal/brokertest"
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

// What a server that acknowledges after has in hand when it is killed runs elsewhere, and its callers are answered; on NATS that
// holds for casts alone, once the queue has heard nothing of the server for 15 s.
// conforms: ODD-11
func TestKilledServersWorkRunsElsewhere(t *testing.T) {
	t.Parallel()
	const long = `{"seconds": 10}` // longer than it takes to start all that is to be lost
	node := brokertest.Rabbit(t)
	for name, bus := range map[string]struct {
		url   string
		calls int
	}{
		"rabbit": {node.URLVhost(node.NewVhost(t)), 3},
		"nats":   {brokertest.NewNATS(t, brokertest.NATSOptions{}).URL(), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShell(t).with("GOSLO_URL=" + bus.url)
			doomed := s.serve(t, "--ack-after", "--log-level", "debug")
			var calls []*process
			for range bus.calls {
				calls = append(calls, s.start(t, "call", "lab", "sleep", long))
			}
			casts := []string{"req-one", "req-two"}
			for _, id := range casts {
				s.start(t, "cast", "lab", "sleep", long, "--context", `{"request_id": "`+id+`"}`)
			}
			for range bus.calls + len(casts) {
				doomed.waitErr(t, "request taken")
			}
			if code, rest := doomed.end(t, syscall.SIGKILL); code != -1 || strings.Contains(rest, "sleep") {
				t.Fatalf("the first server finished something first: code %d\n%s", code, rest)
			}
			next := s.start(t, "serve", "lab", "--server", "h2", "--ack-after", "--json")
			next.wait(t, "serving")
			for _, call := range calls {
				if code, out := call.end(t, 0); code != 0 {
					t.Errorf("a call ended with %d: %s%s", code, out, call.err)
				}
			}
			seen := map[string]bool{}
			for range len(calls) + len(casts) {
				line := next.wait(t, `"method":"sleep"`)
				for _, id := range casts {
					if strings.Contains(line, id) {
						seen[id] = true
					}
				}
			}
			if len(seen) != len(casts) {
				t.Errorf("of the casts ran elsewhere %v", seen)
			}
			if code, rest := next.end(t, syscall.SIGTERM); code != 0 || strings.Contains(rest, `"method":"sleep"`) {
				t.Errorf("the second server ended with %d, and ran more than was lost:\n%s", code, rest)
			}
		})
	}
}
