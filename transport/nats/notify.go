package nats

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/goslo/goslo/transport"
)

const (
	// everyone is the consumer that listeners without a pool share. It is there from the first notification on.
	everyone = "listeners"
	// poolPrefix begins the names of pools' consumers.
	poolPrefix = "pool-"
	// maxConsumerName bounds a consumer's name, which is a part of subjects and of file names on the server.
	maxConsumerName = 200
	// confirmWait is how long the server may take to confirm a notification before it is sent again.
	confirmWait = 5 * time.Second
	// temporaryExpiry is how long a temporary pool lasts that nobody asks for messages: longer than a connection may be away without notice.
	temporaryExpiry = time.Minute
	// quietFor is longer than a handler may take; RabbitMQ has the same limit by default.
	quietFor = 30 * time.Minute
	// maxRemakes is how often the stream of a notification may be missing right after it was made.
	maxRemakes = 5
)

// consumerName is the durable consumer of a pool, or of those without one.
func consumerName(pool string) string {
	if pool == "" {
		return everyone
	}
	name := string(appendToken([]byte(poolPrefix), pool))
	if len(name) > maxConsumerName {
		sum := sha256.Sum256([]byte(name))
		name = name[:maxConsumerName-65] + "~" + hex.EncodeToString(sum[:])
	}
	return name
}

// ensureNotified makes the stream of a topic's notifications, and the consumers of those without a pool and of the pool, if one is
// given. A notification stays in the stream until each consumer has had it acknowledged. What is there already is taken as it is.
func (c *Conn) ensureNotified(ctx context.Context, subject, pool string) error {
	name := streamName(subject)
	if err := c.ensureStream(ctx, name, subject); err != nil {
		return err
	}
	if err := c.ensureConsumer(ctx, name, everyone, jetstream.DeliverAllPolicy, 0); err != nil || pool == "" {
		return err
	}
	return c.ensureConsumer(ctx, name, consumerName(pool), jetstream.DeliverNewPolicy, 0)
}

// ensureTemporary makes the stream of a topic's notifications, and the consumer of a pool alone, which the server removes when nobody has
// asked it for messages for a while.
func (c *Conn) ensureTemporary(ctx context.Context, subject, pool string) error {
	name := streamName(subject)
	if err := c.ensureStream(ctx, name, subject); err != nil {
		return err
	}
	return c.ensureConsumer(ctx, name, consumerName(pool), jetstream.DeliverNewPolicy, temporaryExpiry)
}

// removeTemporary removes the consumer of a pool, if it is a temporary one. What cannot be removed is left to the server. The stream stays: to look
// whether anybody needs it and to remove it are two steps, and what is told and confirmed between them would be lost.
func (c *Conn) removeTemporary(ctx context.Context, subject, pool string) {
	name, consumer := streamName(subject), consumerName(pool)
	found, err := c.js.Consumer(ctx, name, consumer)
	if err == nil && found.CachedInfo().Config.InactiveThreshold > 0 {
		err = c.js.DeleteConsumer(ctx, name, consumer)
	}
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) && !errors.Is(err, jetstream.ErrStreamNotFound) {
		c.log.Debug("nats: remove a temporary pool", "stream", name, "consumer", consumer, "error", err)
	}
}

func (c *Conn) ensureStream(ctx context.Context, name, subject string) error {
	_, err := c.js.CreateStream(ctx, jetstream.StreamConfig{
		Name:        name,
		Description: "oslo notifications, kept until each pool has them",
		Subjects:    []string{subject},
		Retention:   jetstream.InterestPolicy,
		Storage:     c.storage(),
		Replicas:    c.cfg.Replicas,
		Duplicates:  2 * time.Minute,
	})
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		c.log.Debug("nats: stream of notifications exists with other settings, which stay", "stream", name)
		err = nil
	}
	if err != nil {
		return fmt.Errorf("make stream %s: %w", name, err)
	}
	return nil
}

// ensureConsumer makes a durable consumer of a stream. It lasts for ever, or until nobody has asked it for messages for so long.
func (c *Conn) ensureConsumer(ctx context.Context, stream, name string, from jetstream.DeliverPolicy, lasts time.Duration) error {
	_, err := c.js.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{
		Durable: name,

		InactiveThreshold: lasts,

		DeliverPolicy: from,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait,
		MaxDeliver:    -1,
		MaxAckPending: -1,
		MaxWaiting:    maxWaitingPulls,
	})
	if errors.Is(err, jetstream.ErrConsumerExists) {
		c.log.Debug("nats: consumer exists with other settings, which stay", "stream", stream, "consumer", name)
		err = nil
	}
	if err != nil {
		return fmt.Errorf("make the consumer %s of stream %s: %w", name, stream, err)
	}
	return nil
}

// notify stores a notification. Who sends one makes its stream, and the consumer of those without a pool, once on each
// connection, so that it waits for them. One that the server does not confirm, as while its stream is being deleted, is sent again, with the
// same id. The room behind room is used.
func (c *Conn) notify(ctx context.Context, to transport.Address, m *transport.Message, room, body []byte) error {
	subject := c.subject(notificationToken, to)
	for remakes := 0; ; {
		if err := c.prepare(ctx, subject); err != nil {
			return err
		}
		attempt, cancel := context.WithTimeout(ctx, confirmWait)
		err := c.store(attempt, []byte(subject), m, ownHeader(room, m), body)
		cancel()
		switch {
		case errors.Is(err, transport.ErrInDoubt) && ctx.Err() == nil: // storing it twice is once
			c.notified.Delete(subject)
			continue
		case !errors.Is(err, transport.ErrNoListener):
			return err
		}
		c.notified.Delete(subject)
		if remakes++; remakes > maxRemakes {
			return fmt.Errorf("%w: somebody deletes stream %s as often as it is made", transport.ErrNotSent, streamName(subject))
		}
		c.log.Warn("nats: stream of notifications gone, making it again", "stream", streamName(subject))
		if err := c.rest(ctx, 2*deletionWait); err != nil { // its listeners go first, so that their pools have it
			return err
		}
	}
}

// prepare makes the stream of a subject, unless this connection has made it.
func (c *Conn) prepare(ctx context.Context, subject string) error {
	l, err := c.await(ctx)
	if err != nil {
		return err
	}
	if made, ok := c.notified.Load(subject); ok && made == l {
		return nil
	}
	err = c.whileLinked(ctx, func(ctx context.Context) error { return c.ensureNotified(ctx, subject, "") })
	switch {
	case err == nil:
		c.notified.Store(subject, l)
		return nil
	case noJetStream(err):
		return fmt.Errorf("%w: %w", transport.ErrRejected, errNoJetStream)
	}
	return fmt.Errorf("%w: %w", transport.ErrNotSent, err)
}

// noJetStream says that the server, or the account, has none.
func noJetStream(err error) bool {
	return errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) || errors.Is(err, nats.ErrNoResponders)
}

// inspectNotified looks at the queue of a Notification address. How many listen cannot be told, only that nobody does: members of a pool
// ask for messages when they have room, and hold some when they have none. What the last to go have left counts as held until somebody
// else takes it: nobody is there, too, where nothing has been handed over or acknowledged for quietFor.
func (c *Conn) inspectNotified(ctx context.Context, at transport.Address, s *transport.AddressState) error {
	subject := c.subject(notificationToken, at)
	consumer, err := c.js.Consumer(ctx, streamName(subject), consumerName(at.Pool))
	switch {
	case err == nil:
		info := consumer.CachedInfo()
		s.Exists, s.Waiting = true, int(info.NumPending)
		if info.NumWaiting == 0 && (info.NumAckPending == 0 || quiet(info, time.Now())) {
			s.Listeners = 0
		}
		return nil
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrConsumerNotFound):
		*s = transport.AddressState{}
		return nil
	}
	return errNoStream(subject, err)
}

// quiet says that a consumer has had nothing to do with any listener for quietFor.
func quiet(info *jetstream.ConsumerInfo, now time.Time) bool {
	last := info.Created
	for _, at := range []*time.Time{info.Delivered.Last, info.AckFloor.Last} {
		if at != nil && at.After(last) {
			last = *at
		}
	}
	return now.Sub(last) > quietFor
}
