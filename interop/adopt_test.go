package interop_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/rpc"
)

// Where the languages disagree about what they share, the Go service takes what Python made, both serve and call
// each other, and the Go service's log names each conflict once, with the option to change.
//
// conforms: RMQ-TOPO-24, RMQ-TOPO-25, DEB-06, ODD-32
func TestGoTakesWhatPythonDeclared(t *testing.T) {
	t.Parallel()
	n := brokertest.Rabbit(t)
	client, server := startPython(t, "client.py"), startPython(t, "server.py")
	const (
		durable, quorum, deletes = "?amqp_durable_queues=true", "?rabbit_quorum_queue=true", "?amqp_auto_delete=true"
		needsDurable             = "amqp_durable_queues=true (or rabbit_quorum_queue=true)"
		needsTransient           = "amqp_durable_queues=false and rabbit_quorum_queue=false"
	)
	for name, c := range map[string]struct {
		python, golang  string
		exchange, queue string // what the log has to say of them
	}{
		"Python durable, Go default":     {durable, "", needsDurable, needsDurable},
		"Python quorum, Go default":      {quorum, "", needsDurable, "rabbit_quorum_queue=true"},
		"Python auto-delete, Go default": {deletes, "", "amqp_auto_delete=true", "amqp_auto_delete=true"},
		"Python durable, Go quorum":      {durable, quorum, "", "rabbit_quorum_queue=false"},
		"Python quorum, Go durable":      {quorum, durable, "", "rabbit_quorum_queue=true"},
		"Python default, Go durable":     {"", durable, needsTransient, needsTransient},
		"Python default, Go quorum":      {"", quorum, needsTransient, "rabbit_quorum_queue=false"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vhost := n.NewVhost(t)
			url, topic := n.URLVhost(vhost), "stock"
			server.Do(t, "start", map[string]any{"url": url + c.python, "topic": topic, "server": "python"}, nil)
			before, _ := n.FindQueue(t, vhost, topic)

			var log warnings
			caller := serveIn(t, url+c.golang, topic, &log)
			order := func(method string, more map[string]any) outcome {
				t.Helper()
				o := map[string]any{"url": url + c.python, "topic": topic, "method": method}
				for k, v := range more {
					o[k] = v
				}
				var out outcome
				client.Do(t, "call", o, &out)
				return out
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			whoami := rpc.NewCall[none, string](rpc.Target{Topic: topic}, "whoami")
			for _, to := range []string{"python", "golang"} {
				if o := order("whoami", map[string]any{"server": to}); o.Value != `"`+to+`"` {
					t.Errorf("Python calls %s: %+v", to, o)
				}
				if got, err := whoami.Call(ctx, caller.To(to), none{}); err != nil || got != to {
					t.Errorf("Go calls %s: %q, %v", to, got, err)
				}
			}
			// Both serve the shared queue, and hear what is for all.
			seen := map[string]bool{}
			brokertest.Await(t, "answers of both", func() bool {
				got, err := whoami.Call(ctx, caller, none{})
				if err != nil {
					t.Error(err)
				}
				seen[got] = true
				return len(seen) == 2
			})
			var o outcome
			client.Do(t, "cast", map[string]any{
				"url": url + c.python, "topic": topic, "method": "note", "args": `{"tag": "python"}`, "prepare": map[string]any{"fanout": true},
			}, &o)
			if o.Error != "" {
				t.Errorf("fanout: %s", o.Error)
			}
			if err := rpc.NewCast[noteArgs](rpc.Target{Topic: topic}, "note").Cast(ctx, caller.Fanout(), noteArgs{"golang"}); err != nil {
				t.Errorf("fanout: %v", err)
			}
			noted := rpc.NewCall[noteArgs, int](rpc.Target{Topic: topic}, "noted")
			for _, to := range []string{"python", "golang"} {
				for _, tag := range []string{"python", "golang"} {
					brokertest.Await(t, tag+"'s fanout at "+to, func() bool {
						times, err := noted.Call(ctx, caller.To(to), noteArgs{tag})
						return err == nil && times == 1
					})
				}
			}
			after, _ := n.FindQueue(t, vhost, topic)
			before.Consumers, before.Messages, before.Unacked, after.Consumers, after.Messages, after.Unacked = 0, 0, 0, 0, 0, 0
			if diff := gocmp.Diff(before, after); diff != "" {
				t.Errorf("the shared queue has changed (-before +after)\n%s", diff)
			}
			for what, option := range map[string]string{"exchange openstack": c.exchange, "queue stock": c.queue} {
				want := 1
				if option == "" {
					want = 0
				}
				if all := log.count(`what="` + what + `"`); all != want || log.count(`what="`+what+`"`, option) != want {
					t.Errorf("%d lines about %s, want %d that name %s\n%s", all, what, want, option, log.String())
				}
			}
		})
	}
}

// The other way round a Go service cannot help: oslo.messaging 14.0.3 gives up on any difference, and newer ones on
// all but a transient exchange where they want a durable one. Its service does not start, and its calls fail.
//
// conforms: DEB-06
func TestPythonDoesNotTakeWhatGoDeclared(t *testing.T) {
	t.Parallel()
	n := brokertest.Rabbit(t)
	client, server := startPython(t, "client.py"), startPython(t, "server.py")
	url := n.URLVhost(n.NewVhost(t))
	serveIn(t, url+"?amqp_durable_queues=true", "stock", &warnings{})
	var o outcome
	client.Do(t, "call", map[string]any{"url": url, "topic": "stock", "method": "whoami", "prepare": map[string]any{"timeout": 5, "retry": 0}}, &o)
	if !strings.Contains(o.Error, "PRECONDITION_FAILED") || !strings.Contains(o.Error, "durable") {
		t.Errorf("Python calls: %+v", o)
	}
	var problem string
	server.Do(t, "refused", map[string]any{"url": url, "topic": "stock", "server": "python"}, &problem)
	if !strings.Contains(problem, "PRECONDITION_FAILED") || !strings.Contains(problem, "durable") {
		t.Errorf("Python serves: %q", problem)
	}
	client.Do(t, "call", map[string]any{"url": url + "?amqp_durable_queues=true", "topic": "stock", "method": "whoami"}, &o)
	if o.Value != `"golang"` {
		t.Errorf("Python calls with the same option: %+v", o)
	}
}

// serveIn runs a Go shop as server "golang" of a topic until the test ends, and returns a client of its transport.
func serveIn(t *testing.T, url, topic string, log *warnings) *rpc.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	bus, err := goslo.Config{URL: url, Program: "interop", Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))}.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s := newShop(bus, &records{}, topic, "golang")
	if err := s.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	end := run(s)
	client := rpc.NewClient(bus, rpc.ClientConfig{})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		for what, err := range map[string]error{"stop": end(), "client": client.Close(ctx), "bus": bus.Close(ctx)} {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
	return client
}

// warnings gathers what a Go service logs.
type warnings struct {
	mu   sync.Mutex
	text strings.Builder
}

func (w *warnings) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *warnings) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// count is the number of lines that hold all the words.
func (w *warnings) count(words ...string) int {
	n := 0
	for line := range strings.Lines(w.String()) {
		all := true
		for _, word := range words {
			all = all && strings.Contains(line, word)
		}
		if all {
			n++
		}
	}
	return n
}
