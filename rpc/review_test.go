package rpc_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

// A bus that answers questions about itself in its own way.
type inspected struct {
	*memory.Transport

	inspect func(context.Context) (transport.AddressState, error)
}

func (i inspected) Inspect(ctx context.Context, _ transport.Address) (transport.AddressState, error) {
	return i.inspect(ctx)
}

func (c *cloud) inspectedClient(config rpc.ClientConfig, inspect func(context.Context) (transport.AddressState, error)) *rpc.Client {
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
		hangs := func(ctx context.Context) (transport.AddressState, error) {
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
			{transport.AddressState{}, rpc.Delivered, "queue is gone"},
			{transport.AddressState{Exists: true, Listeners: -1, Waiting: -1}, rpc.Delivered, ""},
			{transport.AddressState{Exists: true, Listeners: 2, Waiting: -1}, rpc.Delivered, ""},
			{transport.AddressState{Exists: true, Listeners: 0, Waiting: -1}, rpc.Delivered, "nobody listens there now"},
			{transport.AddressState{Exists: true, Listeners: -1, Waiting: 3}, rpc.Queued, "3 messages wait"},
			{transport.AddressState{Exists: true, Listeners: -1, Waiting: 0}, rpc.Taken, "no message waits"},
			{transport.AddressState{Exists: true, Listeners: 0, Waiting: 3}, rpc.Queued, "start the service"},
			{transport.AddressState{Exists: true, Listeners: 2, Waiting: 3}, rpc.Queued, "2 listen"},
			{transport.AddressState{Exists: true, Listeners: 0, Waiting: 0}, rpc.Taken, "died"},
			{transport.AddressState{Exists: true, Listeners: 2, Waiting: 0}, rpc.Taken, "2 listen"},
		} {
			client := c.inspectedClient(rpc.ClientConfig{Timeout: time.Second}, func(context.Context) (transport.AddressState, error) {
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
		}
	})
}
