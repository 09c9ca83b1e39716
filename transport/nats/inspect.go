package nats

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/goslo/goslo/transport"
)

// probeQuiet is how long after one listener's answer to wait for the next one's: a busy process may take its time.
const probeQuiet = 100 * time.Millisecond

// probePatience is how long to wait for the first listener's answer, or half of the context's time.
const probePatience = time.Second

// probeLimit bounds the listeners that are counted.
const probeLimit = 4096

// Inspect implements [transport.Inspector]. Listeners are asked and count themselves; Listeners is -1 when the
// topic has some and none answers. Calls that wait in listeners are not in Waiting, casts that nobody took are.
// Waiting is -1 for a fanout address, and where the server has no JetStream. A reply address is
// errors.ErrUnsupported.
func (c *Conn) Inspect(ctx context.Context, at transport.Address) (transport.AddressState, error) {
	var s transport.AddressState
	err := c.whileLinked(ctx, func(ctx context.Context) error {
		s = transport.AddressState{Listeners: -1, Waiting: -1}
		return c.inspect(ctx, at, &s)
	})
	if err != nil {
		return s, fmt.Errorf("nats: inspect %s: %w", at, err)
	}
	return s, nil
}

func (c *Conn) inspect(ctx context.Context, at transport.Address, s *transport.AddressState) error {
	if c.isClosed() {
		return transport.ErrClosed
	}
	l, err := c.await(ctx)
	if err != nil {
		return err
	}
	if at.Kind == transport.Reply {
		return fmt.Errorf("reply addresses: %w", errors.ErrUnsupported)
	}
	if at.Kind == transport.Notification {
		return c.inspectNotified(ctx, at, s)
	}
	names, err := c.probe(ctx, l, at)
	if err != nil {
		return err
	}
	if names != nil {
		s.Listeners = 0
	}
	for _, name := range names {
		if at.Kind == transport.Fanout || at.Server == "" || name == at.Server {
			s.Listeners++
		}
	}
	s.Exists = s.Listeners > 0 || names == nil && at.Server == ""
	if at.Kind == transport.Fanout {
		return nil
	}
	subject := c.subject(castToken, at)
	stream, err := c.js.Stream(ctx, streamName(subject))
	switch {
	case err == nil:
		s.Exists, s.Waiting = true, 0
	case errors.Is(err, jetstream.ErrStreamNotFound):
		s.Waiting = 0
		return nil
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount), errors.Is(err, nats.ErrNoResponders):
		return nil
	default:
		return errNoStream(subject, err)
	}
	s.Waiting = int(stream.CachedInfo().State.Msgs)
	consumer, err := stream.Consumer(ctx, durableName)
	switch {
	case err == nil:
		// The consumer's own count of what is pending lags behind the stream.
		s.Waiting = max(s.Waiting-consumer.CachedInfo().NumAckPending, 0)
	case !errors.Is(err, jetstream.ErrConsumerNotFound):
		return errNoStream(subject, err)
	}
	return nil
}

// probe asks a topic's listeners for their servers' names. The answer is nil, not empty, where listeners are
// subscribed and do not answer, as when their process is stopped or the network has just lost them.
func (c *Conn) probe(ctx context.Context, l *link, at transport.Address) ([]string, error) {
	at.Server = ""
	answers := make(chan message, probeLimit)
	reply, id := c.asks.open(answers)
	defer c.asks.done(id)
	if err := c.hand([]byte(c.subject(fanoutToken, at)), reply, header(nil).add(headerProbe, "1"), nil); err != nil {
		return nil, c.publishError(err, 0)
	}
	patience := probePatience
	if deadline, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(deadline)/2)
	}
	quiet := time.NewTimer(patience)
	defer quiet.Stop()
	var names []string
	for {
		select {
		case m := <-answers:
			if noResponders(m) {
				return []string{}, nil
			}
			names = append(names, string(m.data))
			quiet.Reset(probeQuiet)
		case <-quiet.C:
			return names, nil
		case <-l.lost:
			return nil, errLinkLost
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Redelivery implements [transport.Redeliverer]. A call is a plain request: it is gone with the server that took it. The keeper
// renews the claim on a cast for as long as this process lives.
func (c *Conn) Redelivery() transport.Redelivery { return transport.Redelivery{Casts: true} }

// Topics implements [transport.Namer]: the topics that have queues.
func (c *Conn) Topics(ctx context.Context, exchange string) ([]string, error) {
	var topics []string
	err := c.whileLinked(ctx, func(ctx context.Context) (err error) {
		topics, err = c.topics(ctx, exchange)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("nats: list topics: %w", err)
	}
	return topics, nil
}

func (c *Conn) topics(ctx context.Context, exchange string) ([]string, error) {
	if c.isClosed() {
		return nil, transport.ErrClosed
	}
	if exchange == "" {
		exchange = c.cfg.Exchange
	}
	start := c.prefix + castToken + "." + string(appendToken(nil, exchange)) + "."
	seen := map[string]struct{}{}
	list := c.js.ListStreams(ctx, jetstream.WithStreamListSubject(start+">"))
	for info := range list.Info() {
		for _, subject := range info.Config.Subjects {
			if rest, ok := strings.CutPrefix(subject, start); ok {
				topic, _, _ := strings.Cut(rest, ".")
				seen[parseToken(topic)] = struct{}{}
			}
		}
	}
	if err := list.Err(); err != nil {
		return nil, err
	}
	topics := make([]string, 0, len(seen))
	for topic := range seen {
		topics = append(topics, topic)
	}
	return topics, nil
}
