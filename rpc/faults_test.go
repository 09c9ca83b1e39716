package rpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

// A bus that answers questions about itself in its own way.
type inspected struct {
	*memory.Transport

	inspect inspector
}

type inspector func(context.Context, transport.Address) (transport.AddressState, error)

func (i inspected) Inspect(ctx context.Context, at transport.Address) (transport.AddressState, error) {
	return i.inspect(ctx, at)
}

func (c *cloud) inspectedClient(config rpc.ClientConfig, inspect inspector) *rpc.Client {
	bus := c.bus.Open(memory.Config{})
	client := rpc.NewClient(inspected{bus, inspect}, config)
	c.t.Cleanup(func() {
		if err := errors.Join(client.Close(context.Background()), bus.Close(context.Background())); err != nil {
			c.t.Error(err)
		}
	})
	return client
}

// A reply that comes in time counts, even if the caller is busy asking the bus what became of its request.
func TestReplyDuringALookAtTheBus(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		p := c.peer(transport.Address{Kind: transport.Topic, Topic: "compute", Server: "slow"})
		hangs := func(ctx context.Context, _ transport.Address) (transport.AddressState, error) {
			<-ctx.Done()
			return transport.AddressState{}, ctx.Err()
		}
		client := c.inspectedClient(rpc.ClientConfig{Timeout: 10 * time.Second}, hangs)
		monitored := c.inspectedClient(rpc.ClientConfig{Timeout: time.Minute, Monitor: 10 * time.Second}, hangs)
		for range 20 {
			for client, after := range map[*rpc.Client]time.Duration{
				client:    9900 * time.Millisecond,
				monitored: 10100 * time.Millisecond, // late, but there
			} {
				ended := make(chan error, 1)
				go func() {
					_, err := echo.Call(t.Context(), client, echoArgs{})
					ended <- err
				}()
				d := p.next()
				<-time.After(after)
				p.send(transport.Address{Kind: transport.Reply, Topic: d.Message.ReplyTo}, &transport.Message{ID: d.Message.ID, Ending: true})
				if err := <-ended; err != nil {
					t.Fatalf("a reply after %s: %v", after, err)
				}
			}
		}
	})
}

// So does a sign of life: a server that has just given one is not silent.
func TestSignOfLifeDuringALookAtTheBus(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		p := c.peer(transport.Address{Kind: transport.Topic, Topic: "compute", Server: "slow"})
		client := c.inspectedClient(rpc.ClientConfig{Timeout: time.Minute, Monitor: 10 * time.Second}, func(ctx context.Context, _ transport.Address) (transport.AddressState, error) {
			<-ctx.Done()
			return transport.AddressState{}, ctx.Err()
		})
		for _, again := range []bool{true, false} {
			ended := make(chan error, 1)
			start := time.Now()
			go func() {
				_, err := echo.Call(t.Context(), client, echoArgs{})
				ended <- err
			}()
			d := p.next()
			reply := transport.Address{Kind: transport.Reply, Topic: d.Message.ReplyTo}
			<-time.After(10100 * time.Millisecond) // late, but there
			p.send(reply, &transport.Message{ID: d.Message.ID})
			if again {
				<-time.After(9 * time.Second)
				p.send(reply, &transport.Message{ID: d.Message.ID, Ending: true})
			}
			var e *rpc.TimeoutError
			err := <-ended
			if again && err != nil {
				t.Errorf("a server that lives: %v", err)
			}
			// It is asked once more, for a second, when the sign is 10 s old.
			if !again && (!errors.As(err, &e) || e.Monitor == 0 || e.LastSign != 11*time.Second || time.Since(start) != 21100*time.Millisecond) {
				t.Errorf("a server that dies after its sign: %v after %s", err, time.Since(start))
			}
		}
	})
}

// An answer counts although the confirm of its request is missing, as when the connection to send on has broken and that to listen on
// has not.
func TestAnswerBeforeTheConfirm(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		c.serve(rpc.ServerConfig{}, echo.Handle(handleEcho))
		bus := c.bus.Open(memory.Config{})
		defer func() { _ = bus.Close(t.Context()) }()
		client := rpc.NewClient(unconfirmed{bus}, rpc.ClientConfig{Timeout: 5 * time.Second})
		defer func() { _ = client.Close(t.Context()) }()
		if got, err := echo.Call(t.Context(), client, echoArgs{json.RawMessage("7")}); err != nil || string(got) != "7" {
			t.Errorf("%s, %v", got, err)
		}
		if got, want := client.Stats(), (rpc.Stats{Calls: 1, Answered: 1}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}

// A bus that takes what it is given and never says so.
type unconfirmed struct{ *memory.Transport }

func (u unconfirmed) Send(ctx context.Context, to transport.Address, m *transport.Message) error {
	if err := u.Transport.Send(ctx, to, m); err != nil {
		return err
	}
	<-ctx.Done()
	return fmt.Errorf("%w: %w", transport.ErrInDoubt, ctx.Err())
}

// What a timed-out call says of where it had come to is what the bus knows, and no more.
func TestPhaseIsWhatTheBusKnows(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		c.peer(transport.Address{Kind: transport.Topic, Topic: "compute", Server: "silent"})
		for _, test := range []struct {
			state  transport.AddressState
			phase  rpc.Phase
			detail string // "" = none
		}{
			{transport.AddressState{}, rpc.Unroutable, "queue is gone"},
			{transport.AddressState{Exists: true, Listeners: -1, Waiting: -1}, rpc.Delivered, ""},
			{transport.AddressState{Exists: true, Listeners: 2, Waiting: -1}, rpc.Delivered, ""},
			{transport.AddressState{Exists: true, Listeners: 0, Waiting: -1}, rpc.Delivered, "nobody listens there now"},
			{transport.AddressState{Exists: true, Listeners: -1, Waiting: 3}, rpc.Queued, "3 messages wait"},
			{transport.AddressState{Exists: true, Listeners: -1, Waiting: 1}, rpc.Queued, "1 message waits"},
			{transport.AddressState{Exists: true, Listeners: -1, Waiting: 0}, rpc.Taken, "no message waits"},
			{transport.AddressState{Exists: true, Listeners: 0, Waiting: 3}, rpc.Queued, "start the service"},
			{transport.AddressState{Exists: true, Listeners: 2, Waiting: 3}, rpc.Queued, "2 listen"},
			{transport.AddressState{Exists: true, Listeners: 0, Waiting: 0}, rpc.Taken, "died"},
			{transport.AddressState{Exists: true, Listeners: 1, Waiting: 0}, rpc.Taken, "1 listens"},
			{transport.AddressState{Exists: true, Listeners: 2, Waiting: 0}, rpc.Taken, "2 listen"},
			{transport.AddressState{Exists: true, Listeners: 2, Waiting: 9, Blocked: "low on disk"}, rpc.BusBlocked, "low on disk"},
			{transport.AddressState{Exists: true, Listeners: 0, Waiting: 9, Blocked: "low on disk"}, rpc.Queued, "start the service"},
		} {
			client := c.inspectedClient(rpc.ClientConfig{Timeout: time.Second}, func(context.Context, transport.Address) (transport.AddressState, error) {
				return test.state, nil
			})
			_, err := echo.Call(t.Context(), client, echoArgs{})
			var e *rpc.TimeoutError
			if !errors.As(err, &e) || e.Phase != test.phase {
				t.Errorf("%+v: %v, want the phase %q", test.state, err, test.phase)
				continue
			}
			if !strings.Contains(e.Detail, test.detail) || (test.detail == "") != (e.Detail == "") || strings.Contains(e.Detail, "-1") {
				t.Errorf("%+v: %q, want %q", test.state, e.Detail, test.detail)
			}
			if want := test.state.Listeners == 0; e.Unattended != want {
				t.Errorf("%+v: unattended = %t", test.state, e.Unattended)
			}
		}
	})
}

// A bus some of whose deliveries cannot be acknowledged, or not be given back.
type unsettled struct {
	*memory.Transport

	ack, requeue func(d *transport.Delivery) error
}

func (u unsettled) Listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
	l, err := u.Transport.Listen(ctx, from, o)
	return unsettledListener{l, u}, err
}

type unsettledListener struct {
	transport.Listener

	bus unsettled
}

func (l unsettledListener) Next(ctx context.Context) (*transport.Delivery, error) {
	d, err := l.Listener.Next(ctx)
	if err != nil {
		return nil, err
	}
	wrapped := *d
	wrapped.Settler = unsettledSettler{d, l.bus}
	return &wrapped, nil
}

type unsettledSettler struct {
	d   *transport.Delivery
	bus unsettled
}

func (s unsettledSettler) Ack(ctx context.Context) error {
	if s.bus.ack != nil {
		if err := s.bus.ack(s.d); err != nil {
			return err
		}
	}
	return s.d.Ack(ctx)
}

func (s unsettledSettler) Requeue(ctx context.Context) error {
	if s.bus.requeue != nil {
		return errors.Join(s.d.Ack(ctx), s.bus.requeue(s.d))
	}
	return s.d.Requeue(ctx)
}

// run runs a server over a bus of its own until the returned function is called.
func (c *cloud) run(bus transport.Transport, config rpc.ServerConfig, e ...rpc.Endpoint) (stop func() error) {
	c.t.Helper()
	config.Target.Topic, config.Server, config.Logger = "compute", "h1", c.logger()
	server := rpc.NewServer(bus, config, e...)
	if err := server.Listen(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return errors.Join(<-ended, bus.Close(context.Background()))
	})
	c.t.Cleanup(func() { _ = stop() })
	return stop
}

// A request whose acknowledgement fails does not run; it runs when it comes again, even when it does so
// before the first acknowledgement has failed.
// conforms: RPC-SERVER-08, DUP-08, DUP-09
func TestNotAcknowledgedNotRun(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		var acks, runs, given atomic.Int32
		lost := errors.New("the connection is lost")
		c.run(unsettled{
			Transport: c.bus.Open(memory.Config{}),
			ack: func(d *transport.Delivery) error {
				if acks.Add(1) > 1 {
					return nil
				}
				if err := d.Requeue(t.Context()); err != nil { // the bus notices first
					t.Error(err)
				}
				<-time.After(time.Second)
				return lost
			},
			requeue: func(*transport.Delivery) error { given.Add(1); return nil },
		}, rpc.ServerConfig{}, note.Handle(func(ctx context.Context, _ echoArgs) error {
			if !rpc.RequestFrom(ctx).Redelivered {
				t.Error("the first delivery ran, although its acknowledgement failed")
			}
			runs.Add(1)
			return nil
		}))
		if err := note.Cast(t.Context(), c.client, echoArgs{}); err != nil {
			t.Fatal(err)
		}
		<-time.After(2 * time.Second)
		if runs.Load() != 1 || acks.Load() != 2 || given.Load() != 0 {
			t.Errorf("%d runs, %d acknowledgements, %d given back; want 1, 2, 0", runs.Load(), acks.Load(), given.Load())
		}
		if log := c.log.String(); !strings.Contains(log, "could not be acknowledged") {
			t.Errorf("the log says %s", log)
		}
	})
}

// A stop does not wait twice: closing the subscription and waiting for handlers share Drain.
// conforms: RPC-SERVER-20
func TestDrainIsOneTime(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		stop := c.run(stuck{c.bus.Open(memory.Config{})}, rpc.ServerConfig{Drain: 10 * time.Second}, sleep.Handle(handleSleep))
		if err := sleep.Cast(t.Context(), c.client, sleepArgs{100}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		start := time.Now()
		var drain *rpc.DrainError
		if err := stop(); !errors.As(err, &drain) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("stop: %v", err)
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("the drain took %s", took)
		}
	})
}

// A bus that is away when its listeners are closed.
type stuck struct{ *memory.Transport }

type stuckListener struct{ transport.Listener }

func (s stuck) Listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
	l, err := s.Transport.Listen(ctx, from, o)
	return stuckListener{l}, err
}

func (s stuckListener) Close(ctx context.Context) error {
	<-ctx.Done()
	return errors.Join(ctx.Err(), s.Listener.Close(ctx))
}

// A request for which no worker is free stays on the bus, where a stop leaves it to another server: also on a bus that takes nothing back.
// conforms: RPC-SERVER-21
func TestStopLosesNoRequest(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		bus := unsettled{Transport: c.bus.Open(memory.Config{}), requeue: func(*transport.Delivery) error { return errors.ErrUnsupported }}
		stop := c.run(bus, rpc.ServerConfig{Workers: 1}, sleep.Handle(handleSleep))
		ended := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := sleep.Call(t.Context(), c.client, sleepArgs{5})
				ended <- err
			}()
			synctest.Wait()
		}
		stopped := make(chan error, 1)
		go func() { stopped <- stop() }()
		synctest.Wait()
		next := c.serve(rpc.ServerConfig{Server: "h2"}, sleep.Handle(handleSleep))
		for range 2 {
			if err := <-ended; err != nil {
				t.Errorf("a request at the stop: %v", err)
			}
		}
		for _, err := range []error{next(), <-stopped} {
			if err != nil {
				t.Errorf("stop: %v", err)
			}
		}
	})
}

// A bus that is away, or refuses: what Send and Listen do instead, when set.
type faulty struct {
	*memory.Transport

	send   func(context.Context, transport.Address, *transport.Message) error
	listen func(context.Context) error
}

func (f faulty) Send(ctx context.Context, to transport.Address, m *transport.Message) error {
	if f.send != nil {
		if err := f.send(ctx, to, m); err != nil {
			return err
		}
	}
	return f.Transport.Send(ctx, to, m)
}

func (f faulty) Listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
	if f.listen != nil {
		if err := f.listen(ctx); err != nil {
			return nil, err
		}
	}
	return f.Transport.Listen(ctx, from, o)
}

// With the bus away a deadline is a deadline, at the first connection too, and nothing was sent.
// conforms: RPC-CLIENT-11, RPC-CLIENT-13, RPC-CLIENT-14, RPC-CLIENT-15, RPC-CLIENT-16, RPC-CLIENT-32, ODD-22, ODD-23, ODD-25
func TestBusAway(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		away := func(ctx context.Context) error {
			<-ctx.Done()
			return fmt.Errorf("%w: %w", transport.ErrNotSent, ctx.Err())
		}
		sending := func(ctx context.Context, _ transport.Address, _ *transport.Message) error { return away(ctx) }
		unconfirmed := func(ctx context.Context, _ transport.Address, _ *transport.Message) error {
			<-ctx.Done()
			return fmt.Errorf("%w: %w", transport.ErrInDoubt, ctx.Err())
		}
		bus := c.bus.Open(memory.Config{})
		defer func() { _ = bus.Close(context.Background()) }()
		c.serve(rpc.ServerConfig{}, echo.Handle(handleEcho), note.Handle(func(context.Context, echoArgs) error { return nil }))
		for why, test := range map[string]struct {
			bus   transport.Transport
			phase rpc.Phase
		}{
			"no reply queue": {faulty{bus, sending, away}, rpc.NotSent},
			"nothing leaves": {faulty{bus, sending, nil}, rpc.NotSent},
			"in doubt":       {faulty{bus, unconfirmed, nil}, rpc.Unconfirmed},
		} {
			client := rpc.NewClient(test.bus, rpc.ClientConfig{Timeout: 3 * time.Second})
			for _, within := range []time.Duration{0, 2 * time.Second, 3 * time.Second} {
				ctx, cancel := t.Context(), context.CancelFunc(func() {})
				if within != 3*time.Second { // the client's own
					ctx, cancel = context.WithTimeout(ctx, within)
				}
				for _, send := range []func() error{
					func() error { _, err := echo.Call(ctx, client, echoArgs{}); return err },
					func() error { return note.Cast(ctx, client, echoArgs{}) },
				} {
					start := time.Now()
					var timeout *rpc.TimeoutError
					if err := send(); !errors.As(err, &timeout) || timeout.Phase != test.phase && within > 0 || !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%s, %s: %v, want the phase %q", why, within, err, test.phase)
					}
					if timeout != nil && strings.Contains(timeout.Error(), "\n") {
						t.Errorf("%s: more than a line: %v", why, timeout)
					}
					if took := time.Since(start); took > within {
						t.Errorf("%s: %s took %s", why, within, took)
					}
				}
				cancel()
			}
			if err := client.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		refused := errors.New("no access")
		client := rpc.NewClient(faulty{bus, func(context.Context, transport.Address, *transport.Message) error { return refused }, func(context.Context) error { return refused }}, rpc.ClientConfig{})
		var delivery *rpc.DeliveryError
		if _, err := echo.Call(t.Context(), client, echoArgs{}); !errors.As(err, &delivery) || !errors.Is(err, refused) {
			t.Errorf("refused: %v", err)
		}
		if err := note.Cast(t.Context(), client, echoArgs{}); !errors.As(err, &delivery) || !errors.Is(err, refused) {
			t.Errorf("refused: %v", err)
		}
		server := rpc.NewServer(faulty{bus, nil, func(context.Context) error { return refused }}, rpc.ServerConfig{Target: target, Server: "h9"})
		// conforms: RPC-SERVER-06, ODD-50
		if err := server.Run(t.Context()); !errors.Is(err, refused) || !strings.Contains(err.Error(), "compute") || !strings.Contains(err.Error(), "h9") {
			t.Errorf("Run: %v", err)
		}
	})
}

// A reply that the bus refuses becomes a failure that says so; one that cannot be sent at all is logged.
// conforms: RPC-SERVER-12, RPC-SERVER-14, ODD-31
func TestReplyRefused(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		var mu sync.Mutex
		refuse := func(m *transport.Message) bool { return len(m.Failure) == 0 }
		c.run(faulty{Transport: c.bus.Open(memory.Config{}), send: func(_ context.Context, _ transport.Address, m *transport.Message) error {
			mu.Lock()
			defer mu.Unlock()
			if refuse(m) {
				return transport.ErrRejected
			}
			return nil
		}}, rpc.ServerConfig{}, echo.Handle(handleEcho))
		var remote *rpc.RemoteError
		if _, err := echo.Call(t.Context(), c.client, echoArgs{}); !errors.As(err, &remote) || !strings.Contains(remote.Message, "cannot be sent") {
			t.Errorf("a refused result: %v", err)
		}
		mu.Lock()
		refuse = func(*transport.Message) bool { return true }
		mu.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := echo.Call(ctx, c.client, echoArgs{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("everything refused: %v", err)
		}
		if log := c.log.String(); strings.Count(log, "reply not sent") != 1 {
			t.Errorf("the log says %s", log)
		}
	})
}
