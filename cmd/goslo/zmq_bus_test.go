//go:build zmq

package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport/zmq/curve"
)

func TestZMQDemo(t *testing.T) {
	t.Parallel()
	redis := brokertest.NewRedis(t, brokertest.RedisOptions{})
	for name, url := range map[string]string{"one host": "zmq://", "by Redis": "zmq+redis://" + redis.Addr() + "/?rpc_zmq_bind_address=127.0.0.1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := newShell(t).run(t, "demo", "--once", "--url", url).want(t, 0)
			if !strings.Contains(got.out, "All of it happened") || got.err != "" {
				t.Errorf("the demo says:\n%s%s", got.out, got.err)
			}
		})
	}
}

// The example of goslo zmq keys --help: a server and a client with keys, and one whom the server does not know.
func TestZMQKeysInUse(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	folder := t.TempDir()
	for _, name := range []string{"compute1", "api", "stranger"} {
		s.run(t, "zmq", "keys", name, "--folder", folder).want(t, 0)
	}
	redis := brokertest.NewRedis(t, brokertest.RedisOptions{})
	url := func(name, option, peer string) string {
		return fmt.Sprintf("zmq+redis://%s/?rpc_zmq_bind_address=127.0.0.1&curve_key=%s&%s=%s",
			redis.Addr(), curve.FilesOf(folder, name).Secret, option, curve.FilesOf(folder, peer).Public)
	}
	s.serve(t, "--url", url("compute1", "curve_clients", "api"))
	got := s.run(t, "call", "lab", "echo", `{"arg": "hello"}`, "--url", url("api", "curve_servers", "compute1")).want(t, 0)
	if strings.TrimSpace(got.out) != `"hello"` {
		t.Errorf("the answer is %s", got.out)
	}
	s.run(t, "call", "lab", "echo", `{"arg": "hello"}`, "--url", url("stranger", "curve_servers", "compute1")).want(t, 5).
		wantErr(t, "our public key is not among its curve_clients")
}
