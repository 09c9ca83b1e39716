package rabbit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
	"github.com/goslo/goslo/wire"
)

// through is the URL of a vhost behind a proxy.
func through(p *brokertest.Proxy, vhost string) string {
	return "rabbit://guest:guest@" + p.Addr() + "/" + vhost
}

// bind declares a queue as a server of that name has it, which nobody consumes from.
func bind(t *testing.T, ch *amqp.Channel, queue string) {
	t.Helper()
	if err := ch.ExchangeDeclare("openstack", "topic", false, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := ch.QueueDeclare(queue, false, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if err := ch.QueueBind(queue, queue, "openstack", false, nil); err != nil {
		t.Fatal(err)
	}
}

// drain takes every message of a queue.
func drain(t *testing.T, ch *amqp.Channel, queue string) (bodies []string) {
	t.Helper()
	for {
		d, ok, err := ch.Get(queue, true)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return bodies
		}
		bodies = append(bodies, string(d.Body))
	}
}

// Senders do not wait for each other's confirms, and share one connection.
//
// conforms: RMQ-PUB-05, ODD-02, ODD-03
func TestConfirmsArePipelined(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	proxy := brokertest.NewProxy(t, node.Addr())
	bus := openURL(t, through(proxy, vhost), rabbit.Config{})
	bind(t, raw(t, node.URLVhost(vhost)), "stock")
	const senders, latency = 300, 50 * time.Millisecond // one after the other: half a minute
	proxy.SetLatency(latency)
	start := time.Now()
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			if err := bus.Send(t.Context(), topic("stock"), &transport.Message{Method: "m"}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if took := time.Since(start); took > senders*latency/2 {
		t.Errorf("%d sends took %v at a latency of %v", senders, took, latency)
	}
	if n := proxy.Connections(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	proxy.Restore()
}

// What was published and not confirmed when the connection broke is sent again, byte for byte; what was confirmed
// is not.
//
// conforms: RMQ-PUB-16
func TestUnconfirmedIsSentAgain(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	proxy := brokertest.NewProxy(t, node.Addr())
	var log lines
	bus := openURL(t, through(proxy, vhost), rabbit.Config{Logger: log.logger()})
	ch := raw(t, node.URLVhost(vhost))
	bind(t, ch, "stock")
	waiting := func(n int) func() bool {
		return func() bool {
			q, ok := node.FindQueue(t, vhost, "stock")
			return ok && q.Messages == n
		}
	}
	if err := bus.Send(t.Context(), topic("stock"), &transport.Message{Method: "confirmed"}); err != nil {
		t.Fatal(err)
	}

	proxy.SetLatency(1500 * time.Millisecond) // the time between the broker's having it and our hearing so
	sent := make(chan error, 1)
	go func() {
		sent <- bus.Send(t.Context(), topic("stock"), &transport.Message{Method: "unconfirmed", ID: "call", ReplyTo: "reply_x"})
	}()
	brokertest.Await(t, "the broker to have the message", waiting(2))
	proxy.Cut()
	proxy.Restore()
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	// Another lost connection, with nothing in doubt.
	proxy.Reset()
	brokertest.Await(t, "the second loss to be noticed", func() bool { return log.count("connection lost") == 2 })
	if err := bus.Send(t.Context(), topic("stock"), &transport.Message{Method: "last"}); err != nil {
		t.Fatal(err)
	}
	brokertest.Await(t, "what was sent again", waiting(4))
	got := drain(t, ch, "stock")
	var methods []string
	for _, body := range got {
		m, err := wire.Parse([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		methods = append(methods, m.Method)
	}
	if s := strings.Join(methods, " "); s != "confirmed unconfirmed unconfirmed last" {
		t.Fatalf("the queue holds %s", s)
	}
	if got[1] != got[2] {
		t.Errorf("sent\n%s\nand again\n%s", got[1], got[2])
	}
}

// A message that the broker nacks is an error.
//
// conforms: RMQ-PUB-07
func TestNackIsAnError(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	bus := openURL(t, node.URLVhost(vhost), rabbit.Config{})
	node.SetPolicy(t, vhost, "full", "^stock$", `{"max-length": 1, "overflow": "reject-publish"}`)
	bind(t, raw(t, node.URLVhost(vhost)), "stock")
	var err error
	for range 5 {
		if err == nil {
			err = bus.Send(t.Context(), topic("stock"), &transport.Message{Method: "m"})
		}
	}
	if !errors.Is(err, transport.ErrRejected) || !strings.Contains(err.Error(), "nack") || !strings.Contains(err.Error(), "stock") {
		t.Errorf("%v; want ErrRejected that says nack", err)
	}
}

// A channel on which the broker refuses everything for a queue does not keep messages from it that other channels may
// send there: a nack is an error when another channel has met one, too.
func TestNackIsTriedOnAnotherChannel(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	var log lines
	bus := openURL(t, node.URLVhost(vhost), rabbit.Config{Logger: log.debugger()})
	node.SetPolicy(t, vhost, "full", "^stock$", `{"max-length": 1, "overflow": "reject-publish"}`)
	bind(t, raw(t, node.URLVhost(vhost)), "stock")
	sent := make(chan error, 1)
	go func() {
		var err error
		for err == nil && log.count("trying again on another channel") == 0 {
			err = bus.Send(t.Context(), topic("stock"), &transport.Message{Method: "m"})
		}
		sent <- err
	}()
	brokertest.Await(t, "the first nack", func() bool { return log.count("trying again on another channel") > 0 })
	node.DeletePolicy(t, vhost, "full")
	if err := <-sent; err != nil {
		t.Errorf("message that was refused on one channel, and would not be on another: %v", err)
	}
}

// A message that the broker will not have is an error that says why, and takes no other message down with it: the
// broker closes the channel that all of them are on.
//
// conforms: RMQ-PUB-08
func TestRefusedMessageTakesNoOtherDown(t *testing.T) {
	t.Parallel()
	node := brokertest.BorrowRabbit(t, brokertest.RabbitOptions{})
	node.Eval(t, `application:set_env(rabbit, max_message_size, 2000).`)
	t.Cleanup(func() { node.Eval(t, `application:set_env(rabbit, max_message_size, 134217728).`) })
	node.AddUser(t, "limited", "secret")
	node.SetPermissions(t, "limited", "/", ".*", "^(openstack|stock.*)$", ".*")
	var log lines
	bus := openURL(t, strings.Replace(node.URL(), "guest:guest", "limited:secret", 1), rabbit.Config{Logger: log.logger()})
	ch := raw(t, node.URL())
	bind(t, ch, "stock")
	if err := ch.ExchangeDeclare("other", "topic", false, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	send := func(to transport.Address, text string) error {
		args := json.RawMessage(`{"id": 7, "image": "` + text + `"}`)
		return bus.Send(t.Context(), to, &transport.Message{Method: "m", Args: args})
	}
	elsewhere := topic("stock")
	elsewhere.Exchange = "other"
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			if err := send(topic("stock"), "small"); err != nil {
				t.Errorf("innocent: %v", err)
			}
		})
	}
	for range 3 {
		all.Go(func() {
			err := send(topic("stock"), strings.Repeat("x", 3000))
			if !errors.Is(err, transport.ErrRejected) || !strings.Contains(err.Error(), "args.image is 3004 of 31") || !strings.Contains(err.Error(), "the broker takes 2000") {
				t.Errorf("too big: %v", err)
			}
			err = send(elsewhere, "small")
			if !errors.Is(err, transport.ErrRejected) || !strings.Contains(err.Error(), "'other'") {
				t.Errorf("no permission: %v", err)
			}
		})
	}
	all.Wait()
	lost := log.count("publishing channel lost")
	if lost == 0 {
		t.Error("no channel was lost: nothing was tested")
	}
	if err := send(topic("stock"), strings.Repeat("x", 3000)); !errors.Is(err, transport.ErrRejected) {
		t.Errorf("too big: %v", err)
	}
	if again := log.count("publishing channel lost"); again != lost {
		t.Errorf("%d channels lost, then %d: the limit was not learnt", lost, again)
	}
}

// A message above the limit is refused before it is sent, naming what makes it big.
func TestTooBig(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	big := `"` + strings.Repeat("x", 20_000) + `"`
	for name, c := range map[string]struct {
		to   transport.Address
		m    transport.Message
		want string
	}{
		"argument":    {topic("stock"), transport.Message{Method: "m", Args: json.RawMessage(`{"a": 1, "image": ` + big + `}`)}, "args.image is 20004 of 20"},
		"context key": {topic("stock"), transport.Message{Method: "m", Context: json.RawMessage(`{"token": ` + big + `}`)}, "context.token is 20004 of 20"},
		"result":      {replyTo("reply_x"), transport.Message{ID: "1", Ending: true, Result: json.RawMessage(big)}, "result is 20004 of 20"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bus := openURL(t, node.URLVhost(node.NewVhost(t)), rabbit.Config{MaxMessage: 10_000})
			err := bus.Send(t.Context(), c.to, &c.m)
			if !errors.Is(err, transport.ErrRejected) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "the broker takes 10000") {
				t.Errorf("%v; want ErrRejected with %q", err, c.want)
			}
		})
	}
	t.Run("compressed", func(t *testing.T) {
		t.Parallel()
		bus := openURL(t, node.URLVhost(node.NewVhost(t))+"?kombu_compression=gzip", rabbit.Config{MaxMessage: 100})
		err := bus.Send(t.Context(), topic("stock"), &transport.Message{Method: "m", Args: json.RawMessage(`{"image": ` + big + `}`)})
		if !errors.Is(err, transport.ErrRejected) || !strings.Contains(err.Error(), "args.image is 20004 of 20") || !strings.Contains(err.Error(), " when compressed, and the broker takes 100") {
			t.Errorf("%v; want ErrRejected with both sizes", err)
		}
	})
}

// How often a message is tried has no count and no limit but its context: through a network that is cut, and while the broker
// takes its time to confirm.
//
// conforms: RMQ-PUB-14, RMQ-PUB-17
func TestSendTriesUntilItsContextEnds(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	proxy := brokertest.NewProxy(t, node.Addr())
	bus := openURL(t, through(proxy, vhost), rabbit.Config{})
	bind(t, raw(t, node.URLVhost(vhost)), "stock")
	send := func(within time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		return bus.Send(ctx, topic("stock"), &transport.Message{Method: "m"})
	}
	if err := send(time.Minute); err != nil {
		t.Fatal(err)
	}
	proxy.SetLatency(time.Minute)
	if err := send(300 * time.Millisecond); !errors.Is(err, transport.ErrInDoubt) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("unconfirmed: %v; want ErrInDoubt", err)
	}
	proxy.Cut()
	brokertest.Await(t, "a send to say that the broker is away", func() bool {
		err := send(300 * time.Millisecond)
		var outage *transport.OutageError
		return errors.Is(err, transport.ErrNotSent) && errors.Is(err, context.DeadlineExceeded) && errors.As(err, &outage)
	})
	sent := make(chan error, 1)
	go func() { sent <- send(time.Minute) }()
	proxy.Restore()
	if err := <-sent; err != nil {
		t.Errorf("once the broker is back: %v", err)
	}
}

// Exchanges, bindings and queues that are deleted under load lose nothing and fail nothing.
func TestDeletionsLoseNothing(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	var log lines
	bus := openURL(t, node.URLVhost(vhost), rabbit.Config{Logger: log.logger()})
	ch := raw(t, node.URLVhost(vhost))
	for _, q := range []string{"stock", "stock.one", "stock.two"} {
		bind(t, ch, q)
	}
	for _, to := range []transport.Address{topic("stock"), server("stock")} {
		if err := bus.Send(t.Context(), to, &transport.Message{Method: "seen", UniqueID: to.String()}); err != nil {
			t.Fatal(err)
		}
	}
	stop := make(chan struct{})
	sent := make([][]string, 16)
	var count atomic.Int64 // of those
	var all sync.WaitGroup
	for i := range sent {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				m := &transport.Message{Method: "m", UniqueID: fmt.Sprintf("%d-%d", i, n)}
				to := topic("stock")
				if n%2 == 1 {
					to = server("stock")
				}
				if err := bus.Send(t.Context(), to, m); err != nil {
					t.Errorf("%s: %v", m.UniqueID, err)
					return
				}
				sent[i] = append(sent[i], m.UniqueID)
				count.Add(1)
			}
		})
	}
	for round := range int64(5) {
		node.DeleteExchange(t, vhost, "openstack")
		brokertest.Await(t, "the exchange to be declared again", func() bool { return len(node.ListExchanges(t, vhost)) == 1 })
		brokertest.Await(t, "messages that were sent since", func() bool { return count.Load() >= 20*(round+1) })
	}
	close(stop)
	all.Wait()
	got := map[string]int{}
	for _, q := range []string{"stock", "stock.one"} {
		for _, body := range drain(t, ch, q) {
			m, err := wire.Parse([]byte(body))
			if err != nil {
				t.Fatal(err)
			}
			got[m.UniqueID]++
		}
	}
	for _, ids := range sent {
		for _, id := range ids {
			if got[id] == 0 { // twice is right where its channel was closed before its confirm: receivers drop one
				t.Errorf("%s was lost", id)
			}
		}
	}
	if n := log.count("delivered to its queue directly", "queue=stock.one"); n != 1 {
		t.Errorf("told %d times that requests go past the exchange, want once:\n%s", n, log.String())
	}
	// A key that this transport has never used is not known to have a queue: nobody listens, as the exchange says.
	if err := bus.Send(t.Context(), transport.Address{Kind: transport.Topic, Topic: "stock", Server: "two"}, &transport.Message{Method: "m"}); !errors.Is(err, transport.ErrNoListener) {
		t.Errorf("a queue without binding: %v, want ErrNoListener", err)
	}
}

// A queue that is deleted under its listener is missing for a moment, in which senders that have met it before wait. One that
// does not come back has nobody listening, and the next sender hears so at once.
func TestSenderWaitsForAQueueBeingRebuilt(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	bus := openURL(t, node.URLVhost(vhost), rabbit.Config{})
	ch := raw(t, node.URLVhost(vhost))
	send := func() error {
		return bus.Send(t.Context(), topic("stock"), &transport.Message{Method: "m"})
	}
	bind(t, ch, "stock")
	if err := send(); err != nil {
		t.Fatal(err)
	}
	node.DeleteQueue(t, vhost, "stock")
	sent := make(chan error, 1)
	go func() { sent <- send() }()
	bind(t, ch, "stock")
	if err := <-sent; err != nil {
		t.Errorf("a queue that comes back: %v", err)
	}
	node.DeleteQueue(t, vhost, "stock")
	if err := send(); !errors.Is(err, transport.ErrNoListener) {
		t.Errorf("a queue that does not come back: %v, want ErrNoListener", err)
	}
	bind(t, ch, "stock")
	if err := ch.QueueUnbind("stock", "stock", "openstack", nil); err != nil {
		t.Fatal(err)
	}
	if err := send(); !errors.Is(err, transport.ErrNoListener) {
		t.Errorf("forgotten: %v, want ErrNoListener", err)
	}
}

// While the broker blocks who publishes, everything that waits for it says so, and which alarm it is. What else the broker
// knows can still be asked where there is a connection that does not publish.
//
// conforms: ODD-41
func TestBlockedIsNamed(t *testing.T) {
	t.Parallel()
	node := brokertest.BorrowRabbit(t, brokertest.RabbitOptions{})
	both := openURL(t, node.URL(), rabbit.Config{})
	listen(t, both, server("stock"))
	sender := openURL(t, node.URL(), rabbit.Config{})
	node.SetAlarm(t, true)
	defer node.SetAlarm(t, false)
	isNamed := func(err error) bool {
		var outage *transport.OutageError
		return errors.As(err, &outage) && strings.Contains(outage.Blocked, "memory") && outage.For > 0 && strings.Contains(err.Error(), outage.Blocked)
	}
	attempt := func(bus *rabbit.Transport, to transport.Address) error {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		return bus.Send(ctx, to, &transport.Message{Method: "m", ID: "1", ReplyTo: "reply_x"})
	}
	for _, bus := range []*rabbit.Transport{both, sender} {
		// The broker tells of the alarm when the first message comes, and takes that one afterwards.
		brokertest.Await(t, "a send to name the alarm", func() bool { return isNamed(attempt(bus, topic("stock"))) })
		if err := attempt(bus, replyTo("reply_x")); !isNamed(err) || !errors.Is(err, transport.ErrNotSent) {
			t.Errorf("reply: %v; want ErrNotSent and the alarm", err)
		}
	}
	inspect := func(bus *rabbit.Transport, within time.Duration) (transport.AddressState, error) {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		return bus.Inspect(ctx, topic("stock"))
	}
	if state, err := inspect(both, 10*time.Second); err != nil || !state.Exists || state.Listeners != 1 || !strings.Contains(state.Blocked, "memory") {
		t.Errorf("inspect beside a listening connection: %+v, %v; want one listener, and the alarm", state, err)
	}
	if state, err := inspect(sender, 300*time.Millisecond); !isNamed(err) {
		t.Errorf("inspect on a blocked connection: %+v, %v; want the alarm", state, err)
	}
}

// Connections that break under load lose nothing of what Send has taken: requests, and replies, for which nobody waits.
//
// conforms: RMQ-PUB-16
func TestResetsLoseNothing(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	proxy := brokertest.NewProxy(t, node.Addr())
	var log lines
	bus := openURL(t, through(proxy, vhost)+"?kombu_reconnect_delay=0", rabbit.Config{Logger: log.logger()})
	ch := raw(t, node.URLVhost(vhost))
	bind(t, ch, "stock")
	if _, err := ch.QueueDeclare("reply_x", false, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	sent := make([]int, 16)
	var total atomic.Int64
	var all sync.WaitGroup
	for i := range sent {
		all.Go(func() {
			to, m := topic("stock"), transport.Message{Method: "m"}
			if i%2 == 1 {
				to, m = replyTo("reply_x"), transport.Message{ID: "1", Ending: true}
			}
			for {
				select {
				case <-stop:
					return
				default:
				}
				m := m
				m.UniqueID = fmt.Sprintf("%d-%d", i, sent[i])
				if err := bus.Send(t.Context(), to, &m); err != nil {
					t.Errorf("%s: %v", m.UniqueID, err)
					return
				}
				sent[i]++
				total.Add(1)
				if i%2 == 1 { // replies come at the pace of requests
					_, _ = bus.Inspect(t.Context(), to)
				}
			}
		})
	}
	for n := range 5 {
		enough := total.Load() + 100
		brokertest.Await(t, "messages on a connection", func() bool { return total.Load() > enough })
		proxy.Reset()
		brokertest.Await(t, "the connection to be missed and made anew", func() bool { return log.count("msg=connected ") > n })
	}
	close(stop)
	all.Wait()
	got := map[string]bool{}
	missing := func() int {
		for _, q := range []string{"stock", "reply_x"} {
			for _, body := range drain(t, ch, q) {
				m, err := wire.Parse([]byte(body))
				if err != nil {
					t.Fatal(err)
				}
				got[m.UniqueID] = true
			}
		}
		n := 0
		for i := range sent {
			for j := range sent[i] {
				if !got[fmt.Sprintf("%d-%d", i, j)] {
					n++
				}
			}
		}
		return n
	}
	brokertest.Await(t, "everything that was sent", func() bool { return missing() == 0 })
}
