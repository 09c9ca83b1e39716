package interop_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/rpc"
)

func isTargetError(err error) bool {
	var e *rpc.TargetError
	return errors.As(err, &e)
}

// both runs a test for each client with each server, side by side.
func both(t *testing.T, f func(t *testing.T, client, server peer)) {
	t.Helper()
	for _, client := range peers {
		for _, server := range peers {
			t.Run(string(client+" client and "+server+" server"), func(t *testing.T) {
				t.Parallel()
				f(t, client, server)
			})
		}
	}
}

// It runs before the parallel tests: where large messages share a connection with the heartbeats of other
// tests on a machine that has too much to do, those come late.
func TestFourMebibytes(t *testing.T) {
	inTown(t).big(t, 1<<16)
}

// big has so many times 64 bytes come back.
func (w *town) big(t *testing.T, times int) {
	t.Helper()
	want := strings.Repeat(`four mebibytes of text, some of it "quoted", some of it ünïcode`+"\n", times)
	text, err := json.Marshal(map[string]string{"arg": want})
	if err != nil {
		t.Fatal(err)
	}
	if len(text) < 64*times {
		t.Fatalf("the arguments have %d bytes only", len(text))
	}
	for _, way := range [][2]peer{{python, golang}, {golang, python}, {golang, golang}} {
		o := w.call(t, way[0], way[1].topic(), request{method: "echo", args: string(text)})
		var got string
		if err := json.Unmarshal([]byte(o.Value), &got); err != nil || got != want {
			t.Errorf("%s client and %s server: %d bytes came back as %d bytes: %s, %v", way[0], way[1], len(want), len(got), o.Error, err)
		}
	}
}

// A failure that a server got from another one passes through it: the class, module and message of the
// first stay, and the last caller raises what the first server did.
//
// conforms: EXC-06
func TestFailuresPassThroughASecondServer(t *testing.T) {
	t.Parallel()
	inTown(t).passedFailures(t)
}

func (w *town) passedFailures(t *testing.T) {
	t.Helper()
	for _, kind := range []string{"allowed", "several", "no_args", "kwargs", "unicode"} {
		for _, far := range peers {
			t.Run(kind+" of a "+string(far)+" server", func(t *testing.T) {
				t.Parallel()
				both(t, func(t *testing.T, client, server peer) {
					direct := w.call(t, client, far.topic(), fails(kind))
					passed := w.call(t, client, server.topic(), request{
						method: "relay", args: `{"topic": "` + far.other() + `", "kind": "` + kind + `"}`,
					})
					for _, m := range []string{"module", "class", "args", "text", "kwargs"} {
						if server == python && direct.member("module") == `"builtins"` && (m == "args" || m == "text") {
							continue // Python has put the traceback into the first argument of what it raises (EXC-13)
						}
						if direct, passed := direct.member(m), passed.member(m); direct != passed {
							t.Errorf("%s: directly %s, through a %s server %s", m, direct, server, passed)
						}
					}
				})
			})
		}
	}
}

// conforms: CTX-01, CTX-04
func TestContextsPassThroughASecondServer(t *testing.T) {
	t.Parallel()
	inTown(t).passedContexts(t)
}

func (w *town) passedContexts(t *testing.T) {
	t.Helper()
	for _, far := range peers {
		t.Run("to a "+string(far)+" server", func(t *testing.T) {
			t.Parallel()
			both(t, func(t *testing.T, client, server peer) {
				got := w.call(t, client, server.topic(), request{
					method: "relay_context", args: `{"topic": "` + far.other() + `"}`,
					context: `{"user": "ann", "roles": ["a"], "request_id": "req-2"}`, monitor: seconds(20),
				}).tidy(t)
				// The second call is not monitored, and says so over what it inherits.
				want := `{"client_timeout": null, "request_id": "req-2", "roles": ["a"], "user": "ann"}`
				if w.node == nil && far == python {
					want = `{"request_id": "req-2", "roles": ["a"], "user": "ann"}`
				}
				if want := canonical(t, []byte(want)); got.Value != want {
					t.Errorf("got %+v, want %s", got, want)
				}
			})
		})
	}
}

// conforms: DISP-15
func TestWrongArgumentNames(t *testing.T) {
	t.Parallel()
	w := inTown(t)
	for _, client := range peers {
		for _, c := range []struct{ name, args string }{{"missing", `{}`}, {"unknown", `{"arg": 1, "more": 2}`}} {
			r := request{method: "echo", args: c.args}
			if got := w.call(t, client, python.topic(), r); got.member("class") != `"TypeError"` {
				t.Errorf("%s client and Python server, %s name: %+v, want a TypeError", client, c.name, got)
			}
			// The Go server takes what it knows, so that services of different versions can meet.
			if got := w.call(t, client, golang.topic(), r); got.Error != "" {
				t.Errorf("%s client and Go server, %s name: %+v, want a value", client, c.name, got)
			}
		}
		wrong := request{method: "slow", args: `{"seconds": "many"}`}
		for _, server := range peers {
			if got := w.call(t, client, server.topic(), wrong); got.member("class") != `"TypeError"` {
				t.Errorf("%s client and %s server, wrong type: %+v, want a TypeError", client, server, got)
			}
		}
	}
}

// conforms: DISP-19
func TestExpectedFailuresAreNotLoggedAsErrors(t *testing.T) {
	t.Parallel()
	w := inTown(t)
	for _, server := range peers {
		w.call(t, golang, server.topic(), request{method: "expected"})
		w.call(t, golang, server.topic(), fails("foreign"))
	}
	var logged []string
	w.server.Do(t, "log", nil, &logged)
	texts := map[peer]func(string) bool{
		python: func(s string) bool { return strings.Contains(strings.Join(logged, "\n"), s) },
		golang: w.log.contains,
	}
	for p, contains := range texts {
		if contains("as usual") {
			t.Errorf("%s server: the expected failure is logged as an error", p)
		}
		if !contains("page missing") {
			t.Errorf("%s server: the unexpected failure is not logged as an error", p)
		}
	}
}

// conforms: RPC-CLIENT-36, RPC-SERVER-26
func TestConcurrentCallersGetTheirOwnReplies(t *testing.T) {
	t.Parallel()
	inTown(t).together(t)
}

func (w *town) together(t *testing.T) {
	t.Helper()
	const n = 24
	both(t, func(t *testing.T, client, server peer) {
		want := make([]outcome, n)
		got := make([]outcome, n)
		calls := make([]map[string]any, n)
		for i := range n {
			// The first call is the last to return.
			took := 0.25 - float64(i)/100
			want[i].Value = fmt.Sprint(took)
			calls[i] = map[string]any{"args": fmt.Sprintf(`{"seconds": %v}`, took)}
		}
		if client == python {
			order := w.order(server.topic(), request{method: "slow"})
			order["calls"] = calls
			w.client.Do(t, "together", order, &got)
		} else {
			var all sync.WaitGroup
			m := rpc.NewCall[json.RawMessage, json.RawMessage](rpc.Target{Topic: server.topic()}, "slow")
			for i := range n {
				all.Go(func() {
					v, err := m.Call(t.Context(), w.caller, json.RawMessage(calls[i]["args"].(string)))
					got[i].Value = string(v)
					if err != nil {
						got[i].Error = err.Error()
					}
				})
			}
			all.Wait()
		}
		for i := range got {
			got[i] = got[i].tidy(t)
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// conforms: RPC-CLIENT-12
func TestTimeouts(t *testing.T) {
	t.Parallel()
	inTown(t).timeouts(t)
}

func (w *town) timeouts(t *testing.T) {
	t.Helper()
	both(t, func(t *testing.T, client, server peer) {
		began := time.Now()
		// Signs of life, the first after 2 s, do not prolong the call beyond its deadline. On a busy machine they come late.
		got := w.call(t, client, server.topic(), request{method: "slow", args: `{"seconds": 12}`, timeout: seconds(5), monitor: seconds(4)})
		if took := time.Since(began); took < 5*time.Second || took > 25*time.Second {
			t.Errorf("took %v, want 5 s", took)
		}
		if client == python {
			if c := got.member("class"); c != `"MessagingTimeout"` {
				t.Errorf("Python: %+v", got)
			}
			return
		}
		if got.member("type") != `"*rpc.TimeoutError"` || got.member("phase") != quoted(string(rpc.Running)) {
			t.Errorf("Go: %+v", got)
		}
	})
}

// conforms: RPC-CLIENT-25, RPC-CLIENT-30, RPC-CLIENT-12, RMQ-PUB-04, RMQ-PUB-06, RMQ-TOPO-09
func TestACallToNobody(t *testing.T) {
	t.Parallel()
	w := inTown(t)
	began := time.Now()
	_, err := rpc.NewCall[none, string](rpc.Target{Topic: "nosuch"}, "whoami").Call(t.Context(), w.caller, none{})
	var e *rpc.NoServerError
	if !errors.As(err, &e) || e.Address.Topic != "nosuch" {
		t.Errorf("Go: %v, want a *NoServerError for nosuch", err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("Go: took %v, want an answer at once", took)
	}
	if _, err := rpc.NewCall[none, string](rpc.Target{Topic: python.topic()}, "whoami").Call(t.Context(), w.caller.To("nobody"), none{}); !errors.As(err, &e) {
		t.Errorf("Go: %v, want a *NoServerError for the server", err)
	}

	order := w.order("nosuch", request{method: "whoami"})
	order["mandatory"] = true
	var o outcome
	w.client.Do(t, "call", order, &o)
	if got := o.member("class"); got != `"MessageUndeliverable"` {
		t.Errorf("Python, mandatory: %+v", o)
	}
	o = w.call(t, python, "nosuch", request{method: "whoami", timeout: seconds(1)})
	if got := o.member("class"); got != `"MessagingTimeout"` {
		t.Errorf("Python: %+v", o)
	}
	if q, ok := w.node.FindQueue(t, w.vhost, "nosuch"); ok {
		t.Errorf("a client made the queue %+v", q)
	}
}

// A monitored call to a server that dies ends long before its deadline.
//
// conforms: RPC-CLIENT-22
func TestAMonitoredCallNoticesADeadServer(t *testing.T) {
	t.Parallel()
	inTown(t).deadServers(t)
}

func (w *town) deadServers(t *testing.T) {
	t.Helper()
	slow := request{method: "slow", args: `{"seconds": 300, "tag": "begun"}`, monitor: seconds(2), timeout: 5 * limit}

	t.Run("Go client and Python server", func(t *testing.T) {
		t.Parallel()
		server := startPython(t, "server.py")
		const topic = "mortal_python"
		server.Do(t, "start", map[string]any{"url": w.url, "topic": topic, "server": "one"}, nil)
		got := w.callWhileItsServerDies(t, golang, topic, slow, server.Kill)
		if got.member("type") != `"*rpc.TimeoutError"` || got.member("monitor") != `"2s"` {
			t.Errorf("%+v, want a *TimeoutError of the monitoring period", got)
		}
	})
	t.Run("Python client and Go server", func(t *testing.T) {
		t.Parallel()
		u, err := url.Parse(w.url)
		if err != nil {
			t.Fatal(err)
		}
		network := brokertest.NewProxy(t, u.Host)
		u.Host = network.Addr()
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		bus, err := goslo.Open(ctx, u.String())
		if err != nil {
			t.Fatal(err)
		}
		const topic = "mortal_go"
		s := newShop(bus, w.log, topic, "one")
		if err := s.Listen(ctx); err != nil {
			t.Fatal(err)
		}
		end := run(s)
		t.Cleanup(func() {
			soon, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_ = bus.Close(soon) // the broker is away, and the server's listener with it
			_ = end()
		})
		got := w.callWhileItsServerDies(t, python, topic, slow, network.Cut)
		if got.member("class") != `"MessagingTimeout"` {
			t.Errorf("%+v, want MessagingTimeout", got)
		}
	})
}

// callWhileItsServerDies calls, has the server die once the method has begun, and returns what the client saw.
func (w *town) callWhileItsServerDies(t *testing.T, client peer, topic string, r request, die func()) outcome {
	t.Helper()
	seen := make(chan outcome, 1)
	go func() { seen <- w.call(t, client, topic, r) }()
	brokertest.Await(t, "the begin of the method", func() bool { return w.noted(t, topic, "one", "begun") > 0 })
	die()
	began := time.Now()
	got := <-seen
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("noticed after %v, want about 2 s", took)
	}
	return got
}

// conforms: RPC-SERVER-25
func TestOneQueueKeepsTheOrder(t *testing.T) {
	t.Parallel()
	inTown(t).inOrder(t)
}

func (w *town) inOrder(t *testing.T) {
	t.Helper()
	for _, client := range peers {
		t.Run(string(client)+" client", func(t *testing.T) {
			t.Parallel()
			const n = 50
			topic := "order_" + string(client)
			arrived := make(chan string, n)
			note := rpc.NewCast[noteArgs](rpc.Target{Topic: topic}, "note")
			s := rpc.NewServer(w.bus, rpc.ServerConfig{Target: rpc.Target{Topic: topic}, Server: "one", Workers: 1, Drain: time.Second},
				note.Handle(func(_ context.Context, a noteArgs) error {
					arrived <- a.Tag
					return nil
				}))
			if err := s.Listen(t.Context()); err != nil {
				t.Fatal(err)
			}
			end := run(s)
			t.Cleanup(func() {
				if err := end(); err != nil {
					t.Error(err)
				}
			})
			for i := range n {
				w.cast(t, client, topic, strconv.Itoa(i), way{})
			}
			for i := range n {
				if got, want := <-arrived, strconv.Itoa(i); got != want {
					t.Fatalf("got %s, want %s", got, want)
				}
			}
		})
	}
}
