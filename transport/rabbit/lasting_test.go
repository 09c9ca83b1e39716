package rabbit_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
)

// What RabbitMQ says when it is asked for a transient queue that is not exclusive, as far as the 255 bytes of
// a reply text go. It closes the connection with 541 (rabbit_amqqueue:declare/7 returns a protocol error of type
// internal_error, which rabbit_framing_amqp_0_9_1:lookup_amqp_exception/1 calls a hard one); the text is from
// rabbit_deprecated_features:generate_warnings1/3. A queue that exists is compared before that is asked.
const (
	refusal43 = "INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated.\n" + // 4.3.0 to 4.3.5 by default
		"By default, this feature is not permitted anymore.\n" +
		"The feature will be removed from a future major RabbitMQ version, regardless of the configuration; actual version to be determined.\n..."
	refusal313 = "INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated.\n" + // 3.13 to 4.2 where configured
		"Its use is not permitted per the configuration (overriding the default, which is permitted):\n" +
		"    \"deprecated_features.permit.transient_nonexcl_queues = false\"\nIts use will not be permit..."
)

// A newer is a broker of a newer version than the one at hand: a proxy that reads AMQP frames, answers
// declarations of new transient queues as that version does, and passes everything else on.
type newer struct {
	node           *brokertest.RabbitNode
	vhost, version string
	refusal        string // "" = permitted

	listener net.Listener
	work     sync.WaitGroup

	mu       sync.Mutex
	refused  []string // names of queues
	global   int      // basic.qos with the global flag
	sessions map[net.Conn]struct{}
}

func newNewer(t *testing.T, node *brokertest.RabbitNode, vhost, version, refusal string) *newer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &newer{node: node, vhost: vhost, version: version, refusal: refusal, listener: l, sessions: make(map[net.Conn]struct{})}
	n.work.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			n.work.Go(func() { n.serve(t, client) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		n.mu.Lock()
		for c := range n.sessions {
			_ = c.Close()
		}
		n.mu.Unlock()
		n.work.Wait()
	})
	return n
}

func (n *newer) url(user string) string {
	return "rabbit://" + user + "@" + n.listener.Addr().String() + "/" + n.vhost
}

func (n *newer) refusals() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.refused)
}

func (n *newer) serve(t *testing.T, client net.Conn) {
	defer client.Close()
	broker, err := net.Dial("tcp", n.node.Addr())
	if err != nil {
		t.Error(err)
		return
	}
	n.mu.Lock()
	n.sessions[client] = struct{}{}
	n.mu.Unlock()

	var refused atomic.Bool
	var answers sync.WaitGroup
	answers.Go(func() {
		n.answer(client, broker)
		if !refused.Load() {
			_ = client.Close()
		}
	})
	defer answers.Wait()
	defer broker.Close()
	if _, err := io.CopyN(broker, client, 8); err != nil { // the protocol header
		return
	}
	for {
		f, err := readFrame(client)
		if err != nil {
			return
		}
		if name, ok := n.refuses(t, f); ok {
			n.mu.Lock()
			n.refused = append(n.refused, name)
			n.mu.Unlock()
			refused.Store(true)
			_ = broker.Close()
			answers.Wait()
			n.end(client)
			return
		}
		if _, err := broker.Write(f); err != nil {
			return
		}
	}
}

// answer passes on what the broker says.
func (n *newer) answer(client, broker net.Conn) {
	for first := true; ; first = false {
		f, err := readFrame(broker)
		if err != nil {
			return
		}
		if first {
			f = n.introduce(f)
		}
		if _, err := client.Write(f); err != nil {
			return
		}
	}
}

// end sends connection.close and waits for the client's close-ok.
func (n *newer) end(client net.Conn) {
	p := []byte{0, 10, 0, 50, 541 >> 8, 541 & 0xff, byte(len(n.refusal))}
	p = append(append(p, n.refusal...), 0, 50, 0, 10)
	f := binary.BigEndian.AppendUint32([]byte{1, 0, 0}, uint32(len(p)))
	if _, err := client.Write(append(append(f, p...), 0xce)); err != nil {
		return
	}
	for {
		f, err := readFrame(client)
		if err != nil {
			return
		}
		if class, m := method(f); class == 10 && m == 51 {
			return
		}
	}
}

// readFrame reads type, channel, size, payload and end mark.
func readFrame(r io.Reader) ([]byte, error) {
	f := make([]byte, 7)
	if _, err := io.ReadFull(r, f); err != nil {
		return nil, err
	}
	f = append(f, make([]byte, binary.BigEndian.Uint32(f[3:7])+1)...)
	_, err := io.ReadFull(r, f[7:])
	return f, err
}

// method returns the class and method of a frame that is one.
func method(f []byte) (class, method uint16) {
	if f[0] != 1 || len(f) < 12 {
		return 0, 0
	}
	return binary.BigEndian.Uint16(f[7:]), binary.BigEndian.Uint16(f[9:])
}

// introduce puts the version into connection.start.
func (n *newer) introduce(f []byte) []byte {
	at := bytes.Index(f, []byte("\x07versionS"))
	if class, m := method(f); class != 10 || m != 10 || at < 0 {
		return f
	}
	at += len("\x07versionS")
	old := binary.BigEndian.Uint32(f[at:])
	longer := uint32(len(n.version)) - old
	out := slices.Clone(f[:at])
	out = binary.BigEndian.AppendUint32(out, uint32(len(n.version)))
	out = append(append(out, n.version...), f[at+4+int(old):]...)
	binary.BigEndian.PutUint32(out[3:], binary.BigEndian.Uint32(f[3:])+longer)
	binary.BigEndian.PutUint32(out[13:], binary.BigEndian.Uint32(f[13:])+longer) // the table behind 0-9
	return out
}

// refuses says whether the frame declares a new transient queue, and of which name.
func (n *newer) refuses(t *testing.T, f []byte) (name string, refused bool) {
	class, m := method(f)
	if class == 60 && m == 10 && f[17]&1 != 0 {
		n.mu.Lock()
		n.global++
		n.mu.Unlock()
	}
	if class != 50 || m != 10 || n.refusal == "" {
		return "", false
	}
	long := int(f[13])
	name = string(f[14 : 14+long])
	if flags := f[14+long]; flags&0b111 != 0 { // passive, durable or exclusive
		return "", false
	}
	_, exists := n.node.FindQueue(t, n.vhost, name)
	return name, !exists
}

// inspected is the state of an address, as another program sees it.
func inspected(t *testing.T, bus *rabbit.Transport, at transport.Address) transport.AddressState {
	t.Helper()
	s, err := bus.Inspect(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A broker that refuses transient queues gets durable ones, which expire as the transient ones would; nothing
// is lost by it, and the log says it once.
//
// conforms: RMQ-TOPO-31
func TestBrokerWithoutTransientQueues(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	for name, c := range map[string]struct{ version, refusal string }{
		"4.3":                    {"4.3.5", refusal43},
		"3.13":                   {"3.13.7", refusal313},
		"of an unlikely version": {"3.12.0", refusal43},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vhost := node.NewVhost(t)
			broker := newNewer(t, node, vhost, c.version, c.refusal)
			var log lines
			bus := openURL(t, broker.url("guest:guest"), rabbit.Config{Logger: log.logger()})
			l := listen(t, bus, server("stock"))
			replies := listen(t, bus, transport.Address{Kind: transport.Reply})
			reply := transport.Address{Kind: transport.Reply, Topic: replies.Addr()}
			receives(t, bus, l, topic("stock"))
			receives(t, bus, l, server("stock"))
			receives(t, bus, l, transport.Address{Kind: transport.Fanout, Topic: "stock"})
			receives(t, bus, replies, reply)
			if n := log.count("takes no transient queues", "deprecated_features.permit"); n != 1 || len(broker.refusals()) != 1 {
				t.Errorf("%d log lines, want 1; refused: %q\n%s", n, broker.refusals(), log.String())
			}
			if broker.global != 0 {
				t.Errorf("basic.qos with the global flag %d times", broker.global)
			}
			if s := inspected(t, openURL(t, node.URLVhost(vhost), rabbit.Config{}), reply); !s.Exists || s.Listeners != 1 {
				t.Errorf("another connection sees the reply queue as %+v", s)
			}
			queues := node.ListQueues(t, vhost)
			if len(queues) != 4 {
				t.Errorf("%d queues, want 4: %+v", len(queues), queues)
			}
			for _, q := range queues {
				own := strings.HasPrefix(q.Name, "reply_") || strings.HasPrefix(q.Name, "stock_fanout_")
				if _, expires := q.Arguments["x-expires"]; !q.Durable || q.Exclusive || expires != own {
					t.Errorf("%+v", q)
				}
			}
			for _, x := range node.ListExchanges(t, vhost) {
				// Durable peers find theirs, whose fanout exchange is transient.
				if want := x.Name == "openstack" && name != "of an unlikely version"; x.Durable != want {
					t.Errorf("%+v", x)
				}
			}
			// From then on it is known, on every connection.
			for _, conn := range node.ListConnections(t) {
				if conn.Vhost == vhost {
					node.CloseConnection(t, conn, "the test")
				}
			}
			receives(t, bus, l, topic("stock"))
			receives(t, bus, replies, reply)
			if n := len(broker.refusals()); n != 1 {
				t.Errorf("%d refusals, want 1", n)
			}
			for _, l := range []transport.Listener{l, replies} {
				if err := l.Close(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if left := len(node.ListQueues(t, vhost)); left != 2 {
				t.Errorf("%d queues left, want those that are shared", left)
			}
		})
	}
}

// A sender alone, on such a broker, makes the exchange that durable peers want.
func TestSenderOnBrokerWithoutTransientQueues(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	broker := newNewer(t, node, vhost, "4.3.0", refusal43)
	bus := openURL(t, broker.url("guest:guest"), rabbit.Config{})
	if err := bus.Send(t.Context(), topic("stock"), &transport.Message{Method: "m"}); !errors.Is(err, transport.ErrNoListener) {
		t.Errorf("send: %v, want ErrNoListener", err)
	}
	if x := node.ListExchanges(t, vhost); len(x) != 1 || !x[0].Durable {
		t.Errorf("exchanges: %+v, want a durable one", x)
	}
}

// A newer broker that permits transient queues gets them, and nothing stays of the question.
func TestBrokerThatPermitsTransientQueues(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	broker := newNewer(t, node, vhost, "4.3.0", "")
	var log lines
	bus := openURL(t, broker.url("guest:guest"), rabbit.Config{Logger: log.logger()})
	l := listen(t, bus, server("stock"))
	receives(t, bus, l, topic("stock"))
	queues := node.ListQueues(t, vhost)
	if len(queues) != 3 || slices.ContainsFunc(queues, func(q brokertest.Queue) bool { return q.Durable }) || log.count("WARN") != 0 {
		t.Errorf("%+v\n%s", queues, log.String())
	}
}

// Queues that peers have are taken on such a broker, too, and options that name durable ones are never refused.
func TestPeersOnBrokerWithoutTransientQueues(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	for name, options := range map[string]string{"defaults": "", "durable": "?amqp_durable_queues=true"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vhost := node.NewVhost(t)
			startPeer(t, node.URLVhost(vhost)+"?amqp_durable_queues=true", "stock", "serve")
			broker := newNewer(t, node, vhost, "4.3.0", refusal43)
			var log lines
			bus := openURL(t, broker.url("guest:guest")+options, rabbit.Config{Logger: log.logger()})
			listen(t, bus, transport.Address{Kind: transport.Topic, Topic: "stock", Server: "two"})
			if n := log.count("declared otherwise"); n != 0 {
				t.Errorf("differences:\n%s", log.String())
			}
		})
	}
}

// A durable queue that is ours alone does not wait for its node, as a transient one would not: whoever waits for
// replies would be deaf.
func TestStuckOwnQueue(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	broker := newNewer(t, node, vhost, "4.3.0", refusal43)
	var log lines
	bus := openURL(t, broker.url("guest:guest"), rabbit.Config{Logger: log.logger()})
	l := listen(t, bus, transport.Address{Kind: transport.Reply})
	if q, ok := node.FindQueue(t, vhost, l.Addr()); !ok || !q.Durable {
		t.Fatalf("%+v", q)
	}
	node.Eval(t, fmt.Sprintf(`{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<%q>>, queue, <<%q>>)),
		mnesia:dirty_write(rabbit_queue, amqqueue:set_state(Q, crashed)).`, vhost, l.Addr()))
	for _, conn := range node.ListConnections(t) {
		if conn.Vhost == vhost {
			node.CloseConnection(t, conn, "the test")
		}
	}
	// A reply that is sent before goes down with the queue.
	brokertest.Await(t, "the queue to be made anew", func() bool { return log.count("listener rebuilt") == 1 })
	receives(t, bus, l, transport.Address{Kind: transport.Reply, Topic: l.Addr()})
	if log.count("level=WARN", "deleting a queue that is stuck", "queue="+l.Addr()) != 1 {
		t.Errorf("not said once:\n%s", log.String())
	}
}

// With options that ask for nothing transient, nothing is refused, and there is nothing to say.
func TestNothingTransient(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	broker := newNewer(t, node, vhost, "4.3.0", refusal43)
	var log lines
	bus := openURL(t, broker.url("guest:guest")+"?amqp_durable_queues=true&rabbit_transient_quorum_queue=true", rabbit.Config{Logger: log.logger()})
	l := listen(t, bus, server("stock"))
	receives(t, bus, l, topic("stock"))
	receives(t, bus, l, transport.Address{Kind: transport.Fanout, Topic: "stock"})
	listen(t, bus, transport.Address{Kind: transport.Reply})
	if refused := broker.refusals(); len(refused) > 0 || log.count("WARN") > 0 {
		t.Errorf("refused: %q\n%s", refused, log.String())
	}
}

// A user who may not declare what the question would declare is not hindered by it, and one who may not declare
// what is needed hears so at once.
func TestUserWhoMayNotDeclare(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	user := "limited-" + vhost
	node.AddUser(t, user, "s3cret")
	node.SetPermissions(t, user, vhost, "^openstack$", ".*", ".*")
	broker := newNewer(t, node, vhost, "4.3.0", refusal43)
	bus := openURL(t, broker.url(user+":s3cret"), rabbit.Config{})
	if err := bus.Send(t.Context(), topic("stock"), &transport.Message{Method: "m"}); !errors.Is(err, transport.ErrNoListener) {
		t.Errorf("send: %v, want ErrNoListener", err)
	}
	if err := bus.Send(t.Context(), notified("stock", ""), event("x")); !errors.Is(err, transport.ErrRejected) || !strings.Contains(err.Error(), "queue 'stock.info'") {
		t.Errorf("send a notification: %v, want ErrRejected, which is not tried again", err)
	}
	_, err := bus.Listen(t.Context(), transport.Address{Kind: transport.Reply}, transport.ListenOptions{})
	if err == nil || !strings.Contains(err.Error(), "declare queue reply_") || !strings.Contains(err.Error(), "ACCESS_REFUSED") {
		t.Errorf("listen: %v", err)
	}
}
