package kafka

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

const (
	// maxRecord is the most bytes of a batch of records, and so of a record: the default of franz-go, a little less than that of brokers
	// (message.max.bytes, 1048588), and a little more than that of upstream's library.
	maxRecord = 1_000_012
	// lastWord is how long the client has, after a sender's context has ended, to say that it has not sent the record.
	lastWord = 100 * time.Millisecond
)

// Headers of records that are ours, and no headers of the message. Upstream neither writes headers nor looks at them (KAFKA-04).
const (
	uniqueID = "x-goslo-unique-id"
	bareness = "x-goslo-bare" // the notification was given without an envelope; its record has one
)

// publisher is the key of a record's context under which who tells is found.
type publisher struct{}

// byPublisher chooses the partition of a record: one publisher's are in one partition, so that they stay in order. Upstream spreads them at
// random.
func byPublisher(string) func(*kgo.Record, int) int {
	return func(r *kgo.Record, n int) int {
		name, _ := r.Context.Value(publisher{}).(string)
		h := fnv.New32a()
		_, _ = h.Write([]byte(name)) // it never fails
		return int(h.Sum32() % uint32(n))
	}
}

// record makes a record of m (KAFKA-04): no key, the notification as value.
func record(ctx context.Context, topic string, m *transport.Message) (*kgo.Record, error) {
	if err := transport.CheckHeaders(m.Headers); err != nil {
		return nil, err
	}
	value, err := wire.AppendKafka(nil, m)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", transport.ErrRejected, err)
	}
	r := &kgo.Record{Topic: topic, Value: value, Context: context.WithValue(ctx, publisher{}, m.Event.Publisher)}
	for name, value := range m.Headers {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
	if m.UniqueID != "" {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: uniqueID, Value: []byte(m.UniqueID)})
	}
	if m.Event.Bare {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: bareness})
	}
	return r, nil
}

// message is what a record says.
func message(r *kgo.Record) (*transport.Message, error) {
	m, err := wire.ParseKafka(r.Value)
	if err != nil {
		return nil, err
	}
	for _, h := range r.Headers {
		switch {
		case h.Key == uniqueID:
			m.UniqueID = string(h.Value)
		case h.Key == bareness:
			m.Event.Bare = true
		case transport.HeaderName(h.Key):
			if m.Headers == nil {
				m.Headers = map[string]string{}
			}
			m.Headers[h.Key] = string(h.Value)
		}
	}
	return m, nil
}

// Send implements [transport.Transport]. It returns when all replicas that are in sync have the record.
//
// A record that the client could not send before ctx ended is given up, and ErrNotSent. One that was sent and not confirmed is ErrInDoubt;
// the client goes on until the cluster confirms or refuses it, and the cluster keeps it once.
func (c *Conn) Send(ctx context.Context, to transport.Address, m *transport.Message) error {
	if err := c.send(ctx, to, m); err != nil {
		return fmt.Errorf("kafka: send to %s: %w", to, err)
	}
	return nil
}

func (c *Conn) send(ctx context.Context, to transport.Address, m *transport.Message) error {
	if to.Kind != transport.Notification && m.Event == nil {
		return errNoRPC
	}
	if err := transport.CheckNotification(to, m); err != nil {
		return err
	}
	topic, err := c.settings.topicName(to)
	if err != nil {
		return err
	}
	r, err := record(ctx, topic, m)
	if err != nil {
		return err
	}
	for {
		if err := c.await(ctx); err != nil {
			return err
		}
		copied := *r // the client writes into it
		err := c.produce(ctx, &copied)
		switch {
		case err == nil:
			c.counts.confirmed.Add(1)
			return nil
		case ended(err) && ctx.Err() == nil:
			continue // the client gave up a batch because of another sender's context, and has not sent it
		case errors.Is(err, kerr.UnknownTopicID) && rest(ctx, topicPause):
			c.client.PurgeTopicsFromProducing(topic) // which was deleted; the client would stay with that for ever
			continue
		}
		return c.unsent(ctx, topic, err)
	}
}

// ended says that an error is that of a context.
func ended(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// errUnconfirmed: the sender's context ended before the client knew what became of the record.
var errUnconfirmed = errors.New("the broker has not confirmed it")

// produce hands a record to the client, and waits for what becomes of it.
func (c *Conn) produce(ctx context.Context, r *kgo.Record) error {
	done := make(chan error, 1)
	c.counts.published.Add(1)
	c.client.Produce(ctx, r, func(_ *kgo.Record, err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	t := time.NewTimer(lastWord)
	defer t.Stop()
	select {
	case err := <-done:
		return err
	case <-t.C:
		return errUnconfirmed
	}
}

// unsent makes an error of Send of what the client says. It ends a record with the context's error when it has not sent it, or was told that the
// broker has not kept it, and only then.
func (c *Conn) unsent(ctx context.Context, topic string, err error) error {
	var refusal *kerr.Error
	switch {
	case errors.Is(err, errUnconfirmed):
		return fmt.Errorf("%w: %w: %w", transport.ErrInDoubt, context.Cause(ctx), err)
	case ended(err):
		c.mu.Lock()
		r := c.reach
		c.mu.Unlock()
		if r.back != nil {
			err = &transport.OutageError{For: time.Since(r.since), Cause: r.why}
		}
		return fmt.Errorf("%w: %w: %w", transport.ErrNotSent, context.Cause(ctx), err)
	case errors.Is(err, kgo.ErrClientClosed):
		return transport.ErrClosed
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		c.counts.refused.Add(1)
		return fmt.Errorf("%w: %w", transport.ErrRejected, noTopic(topic, err))
	case errors.Is(err, kerr.MessageTooLarge):
		c.counts.refused.Add(1)
		return fmt.Errorf("%w: %w: a record has %d bytes at most here, and the broker may allow less (message.max.bytes, max.message.bytes of the topic): send less, or a reference to it",
			transport.ErrRejected, err, maxRecord)
	case errors.As(err, &refusal) && !refusal.Retriable:
		c.counts.refused.Add(1)
		return fmt.Errorf("%w: %w", transport.ErrRejected, err)
	}
	return fmt.Errorf("%w: %w", transport.ErrInDoubt, c.settings.explain(err))
}

// noTopic says what to do about a topic that there is not.
func noTopic(topic string, err error) error {
	return fmt.Errorf("there is no topic %q, and the broker makes none by itself (auto.create.topics.enable): make it with kafka-topics.sh --create --topic %s: %w", topic, topic, err)
}
