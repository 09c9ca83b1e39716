//go:build zmq

package zmq_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/transporttest"
	"github.com/goslo/goslo/transport/zmq/curve"
)

// newKeys makes pairs in a folder of the test's own.
func newKeys(t testing.TB, names ...string) map[string]curve.Files {
	t.Helper()
	folder, files := t.TempDir(), map[string]curve.Files{}
	for _, name := range names {
		pair, err := curve.NewPair()
		files[name] = curve.FilesOf(folder, name)
		if err == nil {
			err = files[name].Write(pair, name)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// The whole contract, encrypted and by a directory in Redis.
func TestContractByRedisWithCurve(t *testing.T) { //nolint:paralleltest // One case counts goroutines.
	keys := newKeys(t, "member")["member"]
	node := brokertest.NewRedis(t, brokertest.RedisOptions{})
	url := fmt.Sprintf("zmq+redis://%s/?rpc_zmq_bind_address=127.0.0.1&rpc_zmq_ipc_dir=%s&curve_key=%s&curve_servers=%s&curve_clients=%s",
		node.Addr(), t.TempDir(), keys.Secret, keys.Public, keys.Public)
	transporttest.Run(t, transporttest.Config{
		Open:  func(t testing.TB) transport.Transport { return open(t, url) },
		Lacks: transporttest.Redelivery | transporttest.Keeps | transporttest.KeepsCalls | transporttest.KeepsNotifications,
	})
}

func TestSendWithoutTheRightKeys(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, "server", "client", "stranger")
	base := busURL(t)
	url := func(name, servers, clients string) string {
		u := base + "&curve_key=" + keys[name].Secret
		if servers != "" {
			u += "&curve_servers=" + keys[servers].Public
		}
		if clients != "" {
			u += "&curve_clients=" + keys[clients].Public
		}
		return u
	}
	server := open(t, url("server", "", "client"))
	l, err := server.Listen(testContext(t), at("one"), transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	refused := func(name, url, why string) {
		t.Helper()
		client := open(t, url)
		for range 2 {
			start := time.Now()
			err := client.Send(testContext(t), topic, cast("refused"))
			if !errors.Is(err, transport.ErrRejected) || !strings.Contains(err.Error(), why) {
				t.Errorf("%s: %v, want %q", name, err, why)
			}
			if took := time.Since(start); took > atOnce {
				t.Errorf("%s: that took %s", name, took)
			}
		}
	}
	refused("a stranger", url("stranger", "server", ""), "not among its curve_clients")
	refused("a client without keys", base, "one of us has curve_key")
	refused("a client that trusts another", url("client", "stranger", ""), "is not among those of curve_servers")
	refused("a client that trusts nobody", url("client", "", "server"), "we trust none")
	if err := open(t, url("client", "server", "")).Send(testContext(t), topic, cast("good")); err != nil {
		t.Errorf("the client that is allowed: %v", err)
	}
	if d, err := l.Next(testContext(t)); err != nil || d.Message.Method != "good" {
		t.Errorf("got %+v, %v", d, err)
	}
}
