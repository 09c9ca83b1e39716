package brokertest

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

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
type NATSNode struct{ *Server }

// NewNATS starts a nats-server for this test and ends it with the test. JetStream stores in the node's
// folder, and what it stored is there after a Restart.
func NewNATS(t testing.TB, o NATSOptions) *NATSNode {
	t.Helper()
	if !brokers.running() {
		t.Fatal("brokertest: the nats-server runs in a second copy of the test binary: call brokertest.Main from TestMain")
	}
	return &NATSNode{startServer(t, "nats", o.command)}
}

// command writes the configuration file and returns the command that serves by it.
func (o NATSOptions) command(folder string, port int) (*exec.Cmd, error) {
	var conf strings.Builder
	fmt.Fprintf(&conf, "listen: \"127.0.0.1:%d\"\nserver_name: goslo%d\n", port, port)
	if !o.NoJetStream {
		fmt.Fprintf(&conf, "jetstream { store_dir: %q }\n", filepath.Join(folder, "store"))
	}
	conf.WriteString(o.Config)
	file := filepath.Join(folder, "nats.conf")
	if err := os.WriteFile(file, []byte(conf.String()), 0o600); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), natsConfigVariable+"="+file)
	return cmd, nil
}

// URL is the node's URL without credentials, nats://127.0.0.1:PORT.
func (n *NATSNode) URL() string { return "nats://" + n.Addr() }

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
