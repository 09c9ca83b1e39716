package brokertest

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/freeport"
)

// Where Debian and RabbitMQ's own packages put the script that any user may run. The one in /usr/sbin
// insists on the user rabbitmq and on the machine's one broker.
const (
	rabbitScript  = "/usr/lib/rabbitmq/bin/rabbitmq-server"
	rabbitCtl     = "/usr/lib/rabbitmq/bin/rabbitmqctl"
	rabbitInstall = "apt-get install -y rabbitmq-server"
)

// startLimit is the most time that a broker may take to start, on a machine with much else to do.
const startLimit = 3 * time.Minute

//go:embed control.erl
var controlProgram string

// AMQP1Plugin is the plugin with which RabbitMQ 3 speaks AMQP 1.0, on the port of AMQP 0-9-1.
const AMQP1Plugin = "rabbitmq_amqp1_0"

// ManagementPlugin is the plugin that serves RabbitMQ's management API, on [RabbitNode.ManagementPort].
const ManagementPlugin = "rabbitmq_management"

// RabbitOptions say how a private node differs from the plainest one. The zero value is usable.
type RabbitOptions struct {
	// Plugins to enable, such as rabbitmq_management. Default: none. With [AMQP1Plugin] the node speaks
	// AMQP 1.0 as well, see [RabbitNode.AMQP1URL].
	Plugins []string
	// Config is added to rabbitmq.conf, in its own format.
	Config string
	// TLS has the node listen with TLS as well, see [RabbitNode.TLSPort]. Default: it does not.
	TLS *RabbitTLS
}

// RabbitTLS says who a node is and whom it lets in. Who shows a certificate may log in with EXTERNAL, as the
// user whose name is its common name.
type RabbitTLS struct {
	// Authority signs the node's certificate and those of its clients.
	Authority *Authority
	// Certificate is the name of the node's own, as it was given to [Authority.SignServer].
	Certificate string
	// Demand refuses clients without a certificate.
	Demand bool
}

// config is the part of rabbitmq.conf.
func (o *RabbitTLS) config(port int) string {
	return fmt.Sprintf(`listeners.ssl.1 = 127.0.0.1:%d
ssl_options.cacertfile = %s
ssl_options.certfile = %s
ssl_options.keyfile = %s
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = %t
ssl_cert_login_from = common_name
auth_mechanisms.1 = PLAIN
auth_mechanisms.2 = AMQPLAIN
auth_mechanisms.3 = EXTERNAL
`, port, o.Authority.CAFile(), o.Authority.File(o.Certificate), o.Authority.KeyFile(o.Certificate), o.Demand)
}

// A RabbitNode is one rabbitmq-server that the tests started. Its methods are safe for concurrent use,
// except for those that start and end it.
type RabbitNode struct {
	name    string // of the Erlang node, with its host
	cookie  string // what nodes of one cluster share
	folder  string
	port    int // AMQP 0-9-1
	epmd    int
	dist    int
	plugins int // first of the ports for plugins' listeners
	tls     int // AMQP 0-9-1 with TLS
	options RabbitOptions

	// StartedIn is how long the last start took.
	StartedIn time.Duration

	mapper  *process // epmd, the name service of Erlang nodes; of a cluster, the first node has the one for all
	server  *process
	control *control
}

// Rabbit returns the node that all tests of this binary share, and starts it on the first use. A test
// works in a vhost of its own, see [RabbitNode.NewVhost], and does not disturb the node itself.
func Rabbit(t testing.TB) *RabbitNode {
	t.Helper()
	node, err := brokers.rabbit()
	if err != nil {
		t.Fatal(err)
	}
	return node
}

// NewRabbit starts a node for this test alone, and ends it with the test.
func NewRabbit(t testing.TB, o RabbitOptions) *RabbitNode {
	t.Helper()
	node, err := newRabbit(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.discard)
	return node
}

// RabbitAMQP1 is [Rabbit] for AMQP 1.0: a second node that all tests of this binary share, with [AMQP1Plugin].
func RabbitAMQP1(t testing.TB) *RabbitNode {
	t.Helper()
	node, err := brokers.rabbitAMQP1()
	if err != nil {
		t.Fatal(err)
	}
	return node
}

// RabbitManaged is [Rabbit] with [ManagementPlugin]: another node that all tests of this binary share. Its statistics are a second old, where
// RabbitMQ's own default is five.
func RabbitManaged(t testing.TB) *RabbitNode {
	t.Helper()
	node, err := brokers.rabbitManaged()
	if err != nil {
		t.Fatal(err)
	}
	return node
}

func newRabbit(o RabbitOptions) (*RabbitNode, error) {
	return tryToStart(func() (*RabbitNode, error) {
		n, err := makeNode(o)
		if err != nil {
			return nil, err
		}
		err = n.prepare()
		if err == nil {
			err = n.startMapper()
		}
		if err == nil {
			err = n.start()
		}
		if err != nil {
			n.discard()
			return nil, err
		}
		return n, nil
	})
}

// tryToStart calls start up to three times: another process may take a port between the choice and its use.
func tryToStart[T any](start func() (*T, error)) (*T, error) {
	for _, program := range []string{rabbitScript, "epmd", "erl"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("brokertest: RabbitMQ is not installed (%w): run `%s`", err, rabbitInstall)
		}
	}
	var problems error
	for range 3 {
		started, err := start()
		if err == nil {
			return started, nil
		}
		problems = errors.Join(problems, err)
	}
	return nil, fmt.Errorf("brokertest: start rabbitmq-server: %w", problems)
}

// makeNode chooses a node's folder and ports.
func makeNode(o RabbitOptions) (*RabbitNode, error) {
	folder, err := newFolder("rabbit")
	if err != nil {
		return nil, err
	}
	ports, err := freeport.Find(5)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	name := fmt.Sprintf("goslo%d@localhost", ports[0])
	return &RabbitNode{
		name:    name,
		cookie:  name,
		folder:  folder,
		port:    ports[0],
		epmd:    ports[1],
		dist:    ports[2],
		plugins: ports[3],
		tls:     ports[4],
		options: o,
	}, nil
}

// prepare writes the node's files.
func (n *RabbitNode) prepare() error {
	for _, sub := range []string{"home", "log", "data"} {
		if err := os.Mkdir(filepath.Join(n.folder, sub), 0o700); err != nil {
			return err
		}
	}
	var conf strings.Builder
	conf.WriteString("disk_free_limit.absolute = 1MB\nvm_memory_high_watermark.absolute = 1GB\nlog.file.level = info\n")
	for _, p := range n.options.Plugins {
		if p == ManagementPlugin {
			fmt.Fprintf(&conf, "management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = %d\n", n.plugins)
		}
	}
	plugins := n.options.Plugins
	if n.options.TLS != nil {
		conf.WriteString(n.options.TLS.config(n.tls))
		plugins = append(slices.Clone(plugins), "rabbitmq_auth_mechanism_ssl")
	}
	conf.WriteString(n.options.Config)
	files := []struct {
		name, text string
		mode       os.FileMode
	}{
		{"home/.erlang.cookie", n.cookie, 0o400},
		{"enabled_plugins", "[" + strings.Join(plugins, ",") + "].\n", 0o600},
		{"rabbitmq.conf", conf.String(), 0o600},
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(n.folder, f.name), []byte(f.text), f.mode); err != nil {
			return err
		}
	}
	return nil
}

func (n *RabbitNode) environment() []string {
	in := func(name string) string { return filepath.Join(n.folder, name) }
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"LANG=C.UTF-8",
		"HOME=" + in("home"),
		"ERL_EPMD_ADDRESS=127.0.0.1",
		"ERL_EPMD_PORT=" + strconv.Itoa(n.epmd),
		"ERL_CRASH_DUMP_SECONDS=0",
		"RABBITMQ_ALLOW_INPUT=1", // the script becomes the node itself, so that its process id is the node's
		"RABBITMQ_CONFIG_FILE=" + in("rabbitmq.conf"),
		"RABBITMQ_CONF_ENV_FILE=/dev/null",
		"RABBITMQ_ADVANCED_CONFIG_FILE=" + in("advanced.config"),
		"RABBITMQ_ENABLED_PLUGINS_FILE=" + in("enabled_plugins"),
		"RABBITMQ_LOG_BASE=" + in("log"),
		"RABBITMQ_MNESIA_BASE=" + in("data"),
		"RABBITMQ_NODENAME=" + n.name,
		"RABBITMQ_NODE_IP_ADDRESS=127.0.0.1",
		"RABBITMQ_NODE_PORT=" + strconv.Itoa(n.port),
		"RABBITMQ_DIST_PORT=" + strconv.Itoa(n.dist),
		// Two schedulers, and none that spins while it waits: the tests need the processors.
		"RABBITMQ_SERVER_ERL_ARGS=+P 262144 +t 1048576 +S 2:2 +SDcpu 1:1 +SDio 2 +A 4 +stbt u +sbwt none +sbwtdcpu none +sbwtdio none",
	}
}

func (n *RabbitNode) startMapper() error {
	cmd := exec.Command("epmd", "-port", strconv.Itoa(n.epmd), "-address", "127.0.0.1")
	cmd.Env = n.environment()
	var err error
	if n.mapper, err = startProcess(n.folder, "epmd", cmd); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	return awaitPort(ctx, n.mapper, n.epmd)
}

// start starts the server and returns when it takes connections.
func (n *RabbitNode) start() error {
	began := time.Now()
	c, theirs, err := newControl()
	if err != nil {
		return err
	}
	dist := strconv.Itoa(n.dist)
	cmd := exec.Command(rabbitScript, "-noshell",
		// A node that is distributed from the start spares the broker its search for epmd, which costs a second Erlang.
		"-sname", n.name, "-start_epmd", "false",
		"-kernel", "inet_dist_use_interface", "{127,0,0,1}", "inet_dist_listen_min", dist, "inet_dist_listen_max", dist,
		"-eval", stripComments(controlProgram))
	cmd.Env = n.environment()
	cmd.ExtraFiles = theirs
	n.server, err = startProcess(n.folder, "rabbitmq", cmd)
	for _, f := range theirs {
		_ = f.Close()
	}
	if err != nil {
		c.close()
		return err
	}
	n.control = c
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	if err := c.ready(ctx); err != nil {
		n.server.kill()
		return fmt.Errorf("%s: %w: %s", n.name, err, n.server.output())
	}
	if err := awaitPort(ctx, n.server, n.port); err != nil {
		return err
	}
	n.StartedIn = time.Since(began)
	return nil
}

// awaitPort returns when something listens on a loopback port, or the process that should has ended.
func awaitPort(ctx context.Context, p *process, port int) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	var dialer net.Dialer
	for {
		c, err := dialer.DialContext(ctx, "tcp4", address)
		if err == nil {
			return c.Close()
		}
		select {
		case <-tick.C:
		case <-p.done:
			return fmt.Errorf("%s ended (%w): %s", p.name, p.err, p.output())
		case <-ctx.Done():
			return fmt.Errorf("wait for %s on %s: %w: %s", p.name, address, err, p.output())
		}
	}
}

func stripComments(program string) string {
	var b strings.Builder
	for line := range strings.Lines(program) {
		if !strings.HasPrefix(line, "%") {
			b.WriteString(strings.TrimSpace(line) + " ")
		}
	}
	return b.String()
}

// Port is the node's AMQP 0-9-1 port on 127.0.0.1.
func (n *RabbitNode) Port() int { return n.port }

// ManagementPort is where [ManagementPlugin] listens when it is among the options' Plugins.
func (n *RabbitNode) ManagementPort() int { return n.plugins }

// ManagementURL is where the management API is, without a user: guest's password is guest.
func (n *RabbitNode) ManagementURL() string {
	return "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(n.plugins))
}

// TLSPort is the node's AMQP 0-9-1 port for TLS on 127.0.0.1 when the options ask for one.
func (n *RabbitNode) TLSPort() int { return n.tls }

// Addr is the node's AMQP 0-9-1 address, host and port.
func (n *RabbitNode) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port)) }

// URL is the node's transport URL with user guest and the vhost "/".
func (n *RabbitNode) URL() string { return "rabbit://guest:guest@" + n.Addr() + "/" }

// URLVhost is the node's transport URL with user guest and the vhost given.
func (n *RabbitNode) URLVhost(vhost string) string { return n.URL() + vhost }

// AMQP1URL is the transport URL for AMQP 1.0, with user guest and without a vhost. The plugin [AMQP1Plugin]
// takes the vhost "/" for connections whose Open names none, or that named in its hostname, as "vhost:NAME".
//
// What that plugin does in RabbitMQ 3.10: it refuses dynamic sources and null targets. An address is a queue's
// name, which the attach of either side declares (durable when the terminus is, and refused when the queue was
// declared otherwise), or one of its own paths: /exchange/NAME/KEY, /topic/KEY, and /amq/queue/NAME for a queue
// that is there. Only by those paths has it a multicast. It answers a closing detach with one that does not close.
func (n *RabbitNode) AMQP1URL() string { return "amqp://guest:guest@" + n.Addr() + "/" }

// Log is the text of the node's own log.
func (n *RabbitNode) Log(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(n.folder, "log", n.name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Kill ends the node with SIGKILL. What it had not yet written to disk is lost. Restart brings it back.
func (n *RabbitNode) Kill() {
	n.server.kill()
	n.control.close()
}

// PID is the process id of the node.
func (n *RabbitNode) PID() int { return n.server.pid }

// CPUTime is the CPU time that the node has used since its last start.
func (n *RabbitNode) CPUTime(t testing.TB) time.Duration {
	t.Helper()
	used, err := n.server.cpuTime()
	if err != nil {
		t.Fatal(err)
	}
	return used
}

// Stop ends the node in an orderly way: clients are told. Restart brings it back.
func (n *RabbitNode) Stop(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	if err := n.server.stop(ctx); err != nil {
		t.Fatal(err)
	}
	n.control.close()
}

// Restart starts the node again on the same ports and data, after killing it when it still runs.
func (n *RabbitNode) Restart(t testing.TB) {
	t.Helper()
	n.Kill()
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
}

// Pause freezes the node: its connections stay open and nothing answers. Resume ends that.
func (n *RabbitNode) Pause(t testing.TB) {
	t.Helper()
	if err := n.server.signal(pause); err != nil {
		t.Fatal(err)
	}
}

// Resume lets a paused node run on.
func (n *RabbitNode) Resume(t testing.TB) {
	t.Helper()
	if err := n.server.signal(resume); err != nil {
		t.Fatal(err)
	}
}

// discard ends the node and removes its folder.
func (n *RabbitNode) discard() {
	if n.server != nil {
		n.server.kill()
	}
	if n.control != nil {
		n.control.close()
	}
	if n.mapper != nil {
		n.mapper.kill()
	}
	_ = os.RemoveAll(n.folder)
}

// brokers is what the tests of this binary share: a test binary is one process and has one of each.
var brokers shared

type shared struct {
	mu   sync.Mutex
	main bool // Main runs
	ends []func() error

	plain, amqp1, managed sharedRabbit
	idle                  []*RabbitNode // of those that tests borrow
	keystone              *KeystoneNode // nil = none yet
}

var errNoMain = errors.New("brokertest: nobody would end the shared broker: call brokertest.Main from TestMain")

// A sharedRabbit starts on the first use, once: a second attempt would fail as the first did.
type sharedRabbit struct {
	node *RabbitNode
	err  error
}

func (r *sharedRabbit) start(o RabbitOptions) (*RabbitNode, error) {
	if r.node == nil && r.err == nil {
		r.node, r.err = newRabbit(o)
	}
	return r.node, r.err
}

func (r *sharedRabbit) discard() {
	if r.node != nil {
		r.node.discard()
		r.node = nil
	}
}

// AtEnd has f called by [Main] after the tests, before it ends the shared broker: for what several tests
// share besides it. The last added is called first. An error fails the test binary.
func AtEnd(f func() error) {
	brokers.mu.Lock()
	defer brokers.mu.Unlock()
	brokers.ends = append(brokers.ends, f)
}

func (s *shared) rabbit() (*RabbitNode, error) { return s.start(&s.plain, RabbitOptions{}) }

func (s *shared) rabbitAMQP1() (*RabbitNode, error) {
	return s.start(&s.amqp1, RabbitOptions{Plugins: []string{AMQP1Plugin}})
}

func (s *shared) rabbitManaged() (*RabbitNode, error) {
	return s.start(&s.managed, RabbitOptions{Plugins: []string{ManagementPlugin}, Config: "collect_statistics_interval = 1000\n"})
}

func (s *shared) start(r *sharedRabbit, o RabbitOptions) (*RabbitNode, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.main {
		return nil, errNoMain
	}
	return r.start(o)
}

func (s *shared) running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.main
}

func (s *shared) stop() error {
	s.mu.Lock()
	ends := s.ends
	s.mu.Unlock()
	var problems error
	for _, end := range slices.Backward(ends) {
		problems = errors.Join(problems, end())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.main, s.ends = false, nil
	s.plain.discard()
	s.amqp1.discard()
	s.managed.discard()
	for _, n := range s.idle {
		n.discard()
	}
	s.idle = nil
	if s.keystone != nil {
		s.keystone.discard()
		s.keystone = nil
	}
	return problems
}
