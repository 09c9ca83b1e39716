package brokertest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const redisInstall = "apt-get install -y redis-server"

// RedisOptions say how a redis-server differs from the plainest one. The zero value is usable.
type RedisOptions struct {
	// Config is added to the configuration file, in its own format: `requirepass secret`, `appendonly yes`.
	// Default: no password, and nothing is written to disk, so that Kill and Restart lose all data.
	Config string
}

// A RedisNode is a redis-server in a process of its own.
type RedisNode struct{ *Server }

// NewRedis starts a redis-server for this test and ends it with the test.
func NewRedis(t testing.TB, o RedisOptions) *RedisNode {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("brokertest: Redis is not installed (%v): run `%s`", err, redisInstall)
	}
	return &RedisNode{startServer(t, "redis", func(folder string, port int) (*exec.Cmd, error) {
		conf := fmt.Sprintf("bind 127.0.0.1\nport %d\ndir %q\nsave \"\"\n%s\n", port, folder, o.Config)
		file := filepath.Join(folder, "redis.conf")
		if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
			return nil, err
		}
		return exec.Command(program, file), nil
	})}
}

// URL is the node's URL without a password, redis://127.0.0.1:PORT.
func (n *RedisNode) URL() string { return "redis://" + n.Addr() }
