package brokertest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// kafkaVariable makes a test binary a Kafka broker: it holds the JSON of a kafkaConfig.
const kafkaVariable = "GOSLO_BROKERTEST_KAFKA_CONFIG"

// KafkaOptions say how a Kafka broker differs from the plainest one. The zero value is usable.
type KafkaOptions struct {
	// Partitions of topics that the broker makes by itself. Default: 1, as Kafka's.
	Partitions int
	// NoTopics has it make none by itself.
	NoTopics bool
	// Topics are there from the start. Others that the broker has made by itself it forgets when it is killed.
	Topics []string
	// Host is what the broker calls itself; clients come back to that name. Default: 127.0.0.1.
	Host string
	// Mechanism of SASL, such as PLAIN, for User and Password. Default: no login.
	Mechanism, User, Password string
	// Certificate and Key are files for TLS. Default: no TLS.
	Certificate, Key string
	// ClientCA is the file of the authority that must have signed clients' certificates. Default: clients need none.
	ClientCA string
	// Settings are those of the broker, such as message.max.bytes.
	Settings map[string]string
}

// A kafkaConfig is what the second copy of the test binary is told.
type kafkaConfig struct {
	KafkaOptions

	Port int
	Data string
}

// A KafkaNode is a Kafka cluster of one broker in a process of its own: franz-go's kfake, which speaks Kafka's protocol over TCP, keeps groups and their
// positions, and writes everything to disk before it confirms it. It is no Kafka: Debian has none.
type KafkaNode struct{ *Server }

// NewKafka starts a broker for this test and ends it with the test. What it confirmed is there after a Restart.
func NewKafka(t testing.TB, o KafkaOptions) *KafkaNode {
	t.Helper()
	if !brokers.running() {
		t.Fatal("brokertest: the broker runs in a second copy of the test binary: call brokertest.Main from TestMain")
	}
	return &KafkaNode{startServer(t, "kafka", o.command)}
}

func (o KafkaOptions) command(folder string, port int) (*exec.Cmd, error) {
	text, err := json.Marshal(kafkaConfig{KafkaOptions: o, Port: port, Data: filepath.Join(folder, "data")})
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), kafkaVariable+"="+string(text))
	return cmd, nil
}

// URL is the node's URL without credentials, kafka://127.0.0.1:PORT/.
func (n *KafkaNode) URL() string { return "kafka://" + n.Addr() + "/" }

// serveKafka is the second copy of the test binary: a broker until SIGTERM. It returns the exit code.
func serveKafka(text string) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, "kafka:", err)
		return 1
	}
	var c kafkaConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return fail(err)
	}
	o := []kfake.Opt{
		kfake.NumBrokers(1), kfake.Ports(c.Port), kfake.DataDir(c.Data), kfake.SyncWrites(), kfake.DefaultNumPartitions(max(c.Partitions, 1)),
		kfake.BrokerConfigs(c.Settings), kfake.WithLogger(kfake.BasicLogger(os.Stderr, kfake.LogLevelInfo)),
	}
	if !c.NoTopics {
		o = append(o, kfake.AllowAutoTopicCreation())
	}
	if c.Host != "" {
		o = append(o, kfake.ListenFn(func(network, address string) (net.Listener, error) {
			l, err := net.Listen(network, address)
			return named{l, net.JoinHostPort(c.Host, strconv.Itoa(c.Port))}, err
		}))
	}
	if c.Mechanism != "" {
		o = append(o, kfake.EnableSASL(), kfake.Superuser(c.Mechanism, c.User, c.Password))
	}
	if c.Certificate != "" {
		secure, err := c.secure()
		if err != nil {
			return fail(err)
		}
		o = append(o, kfake.TLS(secure))
	}
	if err := c.makeTopics(); err != nil {
		return fail(err)
	}
	cluster, err := kfake.NewCluster(o...)
	if err != nil {
		return fail(err)
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	<-end
	cluster.Close()
	return 0
}

// makeTopics has a broker that nobody sees make the topics, unless they were made by an earlier start. It writes them down when it ends.
func (c kafkaConfig) makeTopics() error {
	if _, err := os.Stat(c.Data); err == nil || len(c.Topics) == 0 {
		return nil
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DataDir(c.Data), kfake.SeedTopics(int32(max(c.Partitions, 1)), c.Topics...))
	if err != nil {
		return err
	}
	cluster.Close()
	return nil
}

// A named listener is at an address by which clients are to call it.
type named struct {
	net.Listener

	name string
}

func (l named) Addr() net.Addr  { return l }
func (l named) Network() string { return "tcp" }
func (l named) String() string  { return l.name }

func (o KafkaOptions) secure() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(o.Certificate, o.Key)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if o.ClientCA == "" {
		return c, nil
	}
	pem, err := os.ReadFile(o.ClientCA)
	if err != nil {
		return nil, err
	}
	c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	c.ClientCAs.AppendCertsFromPEM(pem)
	return c, nil
}
