package brokertest

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
)

const (
	python        = "/usr/bin/python3" // the one that Debian's packages install for
	protonProgram = "/usr/share/proton/examples/python/broker.py"
	protonInstall = "apt-get install -y libqpid-proton11-dev-examples python3-qpid-proton python3-pyngus"
)

// A ProtonNode is the example broker of Apache Qpid Proton, an AMQP 1.0 broker of two hundred lines.
//
// It does what oslo.messaging's amqp driver and ours need for calls and casts: queues that appear when
// somebody attaches to their address, on either side; dynamic reply addresses, which go with their receiver;
// null targets; credit; a fair turn for each receiver with credit. It knows neither "product" nor other
// properties of its own, so that drivers that choose their addresses by the broker take the legacy ones.
//
// What it does not do, and no test may expect of it:
//   - It keeps nothing on disk: Kill and Restart lose every queue and message.
//   - It accepts each message before anybody has it, whatever becomes of it: a sender hears neither of a
//     release nor of a rejection, and a message that its receiver releases, rejects, or had unsettled when
//     its connection ended, is gone.
//   - It has no multicast: each message goes to one receiver, whatever its address.
//   - It heeds neither ttl nor expiry, priority, durable, selectors, nor a limit on a queue.
//   - A queue with neither receivers nor messages is removed; that of a dynamic address when its receiver goes.
//   - It offers no SASL mechanism but ANONYMOUS, and no TLS. A connection without SASL is let in.
//   - It decodes messages and encodes them again: bytes are to be compared on the sender's side.
//   - It uses one processor, and about 0.2 ms a message.
type ProtonNode struct{ *Server }

// NewProton starts Proton's broker for this test and ends it with the test.
func NewProton(t testing.TB) *ProtonNode {
	t.Helper()
	if err := exec.Command(python, "-c", "import proton").Run(); err != nil {
		t.Fatalf("brokertest: Proton for Python is not installed (%v): run `%s`", err, protonInstall)
	}
	if _, err := os.Stat(protonProgram); err != nil {
		t.Fatalf("brokertest: Proton's broker is not installed (%v): run `%s`", err, protonInstall)
	}
	return &ProtonNode{startServer(t, "proton", func(_ string, port int) (*exec.Cmd, error) {
		cmd := exec.Command(python, "-u", protonProgram, "-a", "127.0.0.1:"+strconv.Itoa(port))
		cmd.Env = []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1"}
		return cmd, nil
	})}
}

// URL is the node's transport URL, amqp://127.0.0.1:PORT/.
func (n *ProtonNode) URL() string { return fmt.Sprintf("amqp://%s/", n.Addr()) }
