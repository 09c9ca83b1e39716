package interop_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
)

// Each language reads what the other compresses, requests and replies, whatever it compresses with itself. Python
// knows bzip2 under that name only, and the bz2 of its documentation not at all (RMQ-PUB-10).
//
// conforms: RMQ-PUB-09, RMQ-PUB-11, CFG-25
func TestCompressionIsRead(t *testing.T) {
	t.Parallel()
	n := brokertest.Rabbit(t)
	text := strings.Repeat("a long text ", 5_000)
	client, server := startPython(t, "client.py"), startPython(t, "server.py")
	echo := rpc.NewCall[map[string]string, string](rpc.Target{Topic: "stock"}, "echo")
	for name, c := range map[string]struct{ python, golang string }{
		"gzip":        {"?kombu_compression=gzip", "?kombu_compression=gzip"},
		"bzip2":       {"?kombu_compression=bzip2", "?kombu_compression=bzip2"},
		"Python only": {"?kombu_compression=gzip", ""},
		"Go only":     {"", "?kombu_compression=gzip"},
	} {
		open := func(t *testing.T, url string) transport.Transport {
			t.Helper()
			bus, err := goslo.Open(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := bus.Close(context.WithoutCancel(t.Context())); err != nil {
					t.Error(err)
				}
			})
			return bus
		}
		t.Run("Python calls Go, "+name, func(t *testing.T) {
			t.Parallel()
			url := n.URLVhost(n.NewVhost(t))
			s := rpc.NewServer(open(t, url+c.golang), rpc.ServerConfig{Target: rpc.Target{Topic: "stock"}, Server: "one"},
				echo.Handle(func(_ context.Context, args map[string]string) (string, error) { return args["arg"], nil }))
			if err := s.Listen(t.Context()); err != nil {
				t.Fatal(err)
			}
			end := run(s)
			args, err := json.Marshal(map[string]string{"arg": text})
			if err != nil {
				t.Fatal(err)
			}
			var o outcome
			client.Do(t, "call", map[string]any{"url": url + c.python, "topic": "stock", "method": "echo", "args": string(args)}, &o)
			if o.Value != `"`+text+`"` {
				t.Errorf("%d bytes came back: %s", len(o.Value), o.Error)
			}
			if err := end(); err != nil {
				t.Error(err)
			}
		})
		t.Run("Go calls Python, "+name, func(t *testing.T) {
			t.Parallel()
			url := n.URLVhost(n.NewVhost(t))
			server.Do(t, "start", map[string]any{"url": url + c.python, "topic": "stock", "server": name}, nil)
			caller := rpc.NewClient(open(t, url+c.golang), rpc.ClientConfig{})
			got, err := echo.Call(t.Context(), caller, map[string]string{"arg": text})
			if err != nil || got != text {
				t.Errorf("%d bytes came back, %v", len(got), err)
			}
			if err := caller.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
