package brokertest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// natsConfigVariable makes a test binary a nats-server: it names the configuration file.
const natsConfigVariable = "GOSLO_BROKERTEST_NATS_CONFIG"

// NATSOptions say how a nats-server differs from the plainest one. The zero value is usable.
type NATSOptions struct {
	// Config is added to the configuration file, in its own format: authorization, tls, accounts.
	Config string
	// NoJetStream turns JetStream off.
	NoJetStream bool
}

// A NATSNode is a nats-server in a process of its own.
type NATSNode struct {
	folder string
	config string
	port   int
	server *process
}

// NewNATS starts a nats-server for this test and ends it with the test. JetStream stores in the node's folder.
func NewNATS(t testing.TB, o NATSOptions) *NATSNode {
	t.Helper()
	if !brokers.running() {
		t.Fatal("brokertest: the nats-server runs in a second copy of the test binary: call brokertest.Main from TestMain")
	}
	n, err := newNATS(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		n.server.kill()
		_ = os.RemoveAll(n.folder)
	})
	return n
}

func newNATS(o NATSOptions) (*NATSNode, error) {
	folder, err := newFolder("nats")
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	n := &NATSNode{folder: folder, config: filepath.Join(folder, "nats.conf"), port: ports[0]}
	var conf strings.Builder
	fmt.Fprintf(&conf, "listen: \"127.0.0.1:%d\"\nserver_name: goslo%d\n", n.port, n.port)
	if !o.NoJetStream {
		fmt.Fprintf(&conf, "jetstream { store_dir: %q }\n", filepath.Join(folder, "store"))
	}
	conf.WriteString(o.Config)
	if err := os.WriteFile(n.config, []byte(conf.String()), 0o600); err != nil {
		return nil, err
	}
	if err := n.start(); err != nil {
		return nil, fmt.Errorf("brokertest: start nats-server: %w", err)
	}
	return n, nil
}

func (n *NATSNode) start() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), natsConfigVariable+"="+n.config)
	if n.server, err = startProcess(n.folder, "nats", cmd); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	if err := awaitPort(ctx, n.server, n.port); err != nil {
		n.server.kill()
		return err
	}
	return nil
}

// serveNATS is the second copy of the test binary: a nats-server until SIGTERM. It returns the exit code.
func serveNATS(config string) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, "nats-server:", err)
		return 1
	}
	o, err := server.ProcessConfigFile(config)
	if err != nil {
		return fail(err)
	}
	o.NoSigs = true
	s, err := server.NewServer(o)
	if err != nil {
		return fail(err)
	}
	s.ConfigureLogger()
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	s.Start()
	if !s.ReadyForConnections(startLimit) {
		return fail(fmt.Errorf("not ready after %v", startLimit))
	}
	<-end
	s.Shutdown()
	s.WaitForShutdown()
	return 0
}

// Addr is the node's address, host and port.
func (n *NATSNode) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port)) }

// URL is the node's URL without credentials, nats://127.0.0.1:PORT.
func (n *NATSNode) URL() string { return "nats://" + n.Addr() }

// Output is the end of what the server wrote: its log.
func (n *NATSNode) Output() string { return n.server.output() }

// Kill ends the node with SIGKILL. Restart brings it back.
func (n *NATSNode) Kill() { n.server.kill() }

// Stop ends the node in an orderly way. Restart brings it back.
func (n *NATSNode) Stop(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := n.server.stop(ctx); err != nil {
		t.Fatal(err)
	}
}

// Restart starts the node again on the same port and store, after killing it when it still runs.
func (n *NATSNode) Restart(t testing.TB) {
	t.Helper()
	n.Kill()
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
}

// Pause freezes the node: its connections stay open and nothing answers. Resume ends that.
func (n *NATSNode) Pause(t testing.TB) {
	t.Helper()
	if err := n.server.signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
}

// Resume lets a paused node run on.
func (n *NATSNode) Resume(t testing.TB) {
	t.Helper()
	if err := n.server.signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}
