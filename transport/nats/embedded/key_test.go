package embedded_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/freeport"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/nats"
	"github.com/goslo/goslo/transport/nats/embedded"
)

// refuses opens a bus and wants an error that holds all the words.
func refuses(t *testing.T, cfg embedded.Config, words ...string) {
	t.Helper()
	bus, err := embedded.Open(testContext(t), cfg)
	if err == nil {
		_ = bus.Close(testContext(t))
		t.Fatalf("opened, want an error that says %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("got %q, want it to say %q", err, w)
		}
	}
}

func TestKeyIsPrivate(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	open(t, cfg)
	for path, want := range map[string]os.FileMode{cfg.RuntimeDir: 0o700, filepath.Join(cfg.RuntimeDir, "bus.nk"): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %04o, want %04o", path, info.Mode().Perm(), want)
		}
	}
}

func TestInsecureKeyIsRefused(t *testing.T) {
	t.Parallel()
	// prepare makes a runtime folder with a key in it.
	prepare := func(t *testing.T) (cfg embedded.Config, key string) {
		cfg = testConfig(t)
		bus, err := embedded.Open(testContext(t), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := bus.Close(testContext(t)); err != nil {
			t.Fatal(err)
		}
		return cfg, filepath.Join(cfg.RuntimeDir, "bus.nk")
	}
	for name, spoil := range map[string]struct {
		do   func(cfg embedded.Config, key string) error
		want []string
	}{
		"folder is open": {func(cfg embedded.Config, _ string) error { return os.Chmod(cfg.RuntimeDir, 0o755) }, []string{"open to other users", "0755", "chmod 700"}},
		"file is open":   {func(_ embedded.Config, key string) error { return os.Chmod(key, 0o640) }, []string{"bus.nk", "open to other users", "0640", "chmod 600"}},
		"file is a link": {func(_ embedded.Config, key string) error {
			return errorsOf(os.Rename(key, key+"2"), os.Symlink(key+"2", key))
		}, []string{"bus.nk"}},
		"file is a folder":    {func(_ embedded.Config, key string) error { return errorsOf(os.Remove(key), os.Mkdir(key, 0o700)) }, []string{"not a plain file"}},
		"file is no key":      {func(_ embedded.Config, key string) error { return os.WriteFile(key, []byte("nonsense"), 0o600) }, []string{"damaged", "bus.nk"}},
		"file is empty":       {func(_ embedded.Config, key string) error { return os.Truncate(key, 0) }, []string{"bus.nk"}},
		"folder is another's": {func(cfg embedded.Config, _ string) error { return needRoot(os.Chown(cfg.RuntimeDir, 65534, 65534)) }, []string{"belongs to the user with ID 65534"}},
		"file is another's":   {func(_ embedded.Config, key string) error { return needRoot(os.Chown(key, 65534, 65534)) }, []string{"bus.nk", "belongs to the user with ID 65534"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, key := prepare(t)
			switch err := spoil.do(cfg, key); {
			case errors.Is(err, errNotRoot):
				t.Skip("only root can give a file to another user")
			case err != nil:
				t.Fatal(err)
			}
			refuses(t, cfg, spoil.want...)
		})
	}
}

var errNotRoot = fmt.Errorf("not root")

func needRoot(err error) error {
	if err != nil && os.Geteuid() != 0 {
		return errNotRoot
	}
	return err
}

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestKeyIsMadeOnce(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	var all sync.WaitGroup
	failed := make(chan error, 8)
	for range 8 {
		cfg := cfg
		cfg.Port = freeport.One(t)
		all.Go(func() {
			bus, err := embedded.Open(testContext(t), cfg)
			if err == nil {
				err = bus.Close(testContext(t))
			}
			failed <- err
		})
	}
	all.Wait()
	for range 8 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(cfg.RuntimeDir, "bus.nk.*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

func TestAnotherUsersBus(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	open(t, cfg)
	stranger := cfg
	stranger.RuntimeDir = t.TempDir() + "/run"
	refuses(t, stranger, "another user", "bus.nk", "embedded://:PORT")

	// One who does not look at the server's name is turned away by the server.
	for name, auth := range map[string]nats.Auth{
		"another key": {NKeyFile: filepath.Join(stranger.RuntimeDir, "bus.nk")},
		"no key":      {},
		"a password":  {User: "u", Password: "hunter2"},
	} {
		conn, err := nats.Open(testContext(t), nats.Config{Servers: []string{fmt.Sprintf("127.0.0.1:%d", cfg.Port)}, Auth: auth})
		if err == nil {
			_ = conn.Close(testContext(t))
			t.Errorf("%s: connected", name)
		} else if !strings.Contains(err.Error(), "refuses") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %q, want it to say that the server refuses, and no secret", name, err)
		}
	}
}

func TestForeignProgramOnThePort(t *testing.T) {
	t.Parallel()
	speak := func(line string) int {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var conns sync.WaitGroup
		t.Cleanup(func() { l.Close(); conns.Wait() })
		conns.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Write([]byte(line))
				conns.Go(func() { defer c.Close(); _, _ = c.Read(make([]byte, 1)) })
			}
		})
		return l.Addr().(*net.TCPAddr).Port
	}
	cfg := testConfig(t)
	cfg.Port = speak("SSH-2.0-OpenSSH_9.2\r\n")
	refuses(t, cfg, "no NATS server", "embedded://:PORT", fmt.Sprint(cfg.Port))

	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	u, err := transport.ParseURL(node.URL())
	if err != nil {
		t.Fatal(err)
	}
	cfg.Port = u.Hosts[0].Port
	refuses(t, cfg, "no embedded bus", "nats://", "embedded://:PORT")
}

func TestSilentProgramOnThePort(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := testConfig(t)
	cfg.Port = l.Addr().(*net.TCPAddr).Port
	ctx, cancel := context.WithTimeout(testContext(t), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	if bus, err := embedded.Open(ctx, cfg); err == nil {
		_ = bus.Close(testContext(t))
		t.Error("opened")
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v, though the context ended after 300 ms", took)
	}
}

func TestStoreDirOfAnotherHost(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	open(t, cfg)
	mine := cfg
	mine.StoreDir = t.TempDir()
	refuses(t, mine, "in memory", "store_dir", mine.StoreDir)
}

func TestStoreDirOpenToAll(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.StoreDir = t.TempDir()
	if err := os.Chmod(cfg.StoreDir, 0o777); err != nil {
		t.Fatal(err)
	}
	refuses(t, cfg, "store_dir", cfg.StoreDir, "0777")
}

func TestStoreDirIsOneBuses(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.StoreDir = t.TempDir()
	open(t, cfg)
	other := cfg
	other.Port = freeport.One(t)
	refuses(t, other, "another bus", "store_dir", cfg.StoreDir)
}

// TestImpostor puts a program of another user on the port, which copies the name of our bus.
func TestImpostor(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can run a program as another user")
	}
	cfg := testConfig(t)
	bus, err := embedded.Open(testContext(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", cfg.Port))
	if err != nil {
		t.Fatal(err)
	}
	hello, err := bufio.NewReader(conn).ReadString('\n')
	if err := errorsOf(err, conn.Close(), bus.Close(testContext(t))); err != nil {
		t.Fatal(err)
	}
	script := `import os,socket,sys
os.setegid(65534); os.seteuid(65534)
s=socket.socket(); s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1)
s.bind(("127.0.0.1",int(sys.argv[1]))); s.listen(); print("ready",flush=True)
while True:
    c,_=s.accept(); c.sendall(sys.argv[2].encode()); c.recv(100)
`
	cmd := exec.CommandContext(testContext(t), "/usr/bin/python3", "-c", script, fmt.Sprint(cfg.Port), hello)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the impostor says %q, %v", line, err)
	}
	refuses(t, cfg, "user with ID 65534")
}
