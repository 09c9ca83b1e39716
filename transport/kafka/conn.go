package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goslo/goslo/transport"
)

const (
	dialTimeout = 10 * time.Second
	// firstPause and mostPause bound the pause between attempts to reach a cluster that is away. It doubles.
	firstPause = 100 * time.Millisecond
	mostPause  = 2 * time.Second
	// pingTimeout is how long a broker that is asked for a sign of life has.
	pingTimeout = 5 * time.Second
)

var (
	_ transport.Transport = (*Conn)(nil)
	_ transport.Inspector = (*Conn)(nil)
	_ transport.Meter     = (*Conn)(nil)
)

// errNoRPC is the answer to everything but notifications (KAFKA-01).
var errNoRPC = fmt.Errorf("%w: Kafka carries notifications alone; for calls and casts take rabbit://, amqp:// or nats:// as transport_url, and keep kafka:// "+
	"as transport_url of [oslo_messaging_notifications]", errors.ErrUnsupported)

// A Conn is a process's access to a Kafka cluster. It is safe for concurrent use.
type Conn struct {
	settings *settings
	log      *slog.Logger
	client   *kgo.Client // sends, and asks
	admin    *kadm.Client
	counts   counts

	lost   chan struct{}   // holds one: no connection is left, or one could not be made
	ending <-chan struct{} // closed by end, which Close calls
	end    context.CancelFunc
	work   sync.WaitGroup // the keeper, and listeners on their way out

	mu        sync.Mutex
	reach     reach
	listeners map[*listener]struct{} // nil once closed
}

// reach is whether the cluster answers, guarded by Conn.mu.
type reach struct {
	back  chan struct{} // closed when it answers again; nil while it does
	since time.Time     // when it ceased to
	why   error
	total time.Duration // of former absences
}

// counts are what the transport has done.
type counts struct {
	published, confirmed, refused, reconnects atomic.Uint64

	connected atomic.Int64
}

// Open asks the brokers of the URL one after the other until one answers, so that a wrong host, password or certificate is an
// error now, within ctx. From then on the transport finds the cluster again by itself for ever.
func Open(ctx context.Context, cfg Config) (*Conn, error) {
	s, options, err := cfg.read()
	if err != nil {
		return nil, err
	}
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	options.Log(ctx, log)
	for _, text := range s.remarks {
		log.WarnContext(ctx, "kafka: "+text) //nolint:sloglint // The texts are constants.
	}
	c := &Conn{settings: s, log: log, lost: make(chan struct{}, 1), listeners: map[*listener]struct{}{}}
	c.client, err = kgo.NewClient(append(s.client(log),
		kgo.WithHooks(hooks{c}),
		kgo.RecordPartitioner(kgo.BasicConsistentPartitioner(byPublisher)),
		kgo.ProducerLinger(s.producer.linger),
		kgo.MaxBufferedRecords(s.producer.most),
		kgo.ProducerBatchCompression(s.producer.codec),
		kgo.ProducerBatchMaxBytes(maxRecord),
	)...)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	if err := c.client.Ping(ctx); err != nil {
		c.client.Close()
		return nil, fmt.Errorf("kafka: connect to %s: %w", strings.Join(s.brokers, ", "), s.explain(err))
	}
	c.admin = kadm.NewClient(c.client)
	own, end := context.WithCancel(context.WithoutCancel(ctx))
	c.ending, c.end = own.Done(), end
	c.work.Go(func() { c.keep(own) })
	return c, nil
}

// explain says what to do about an error of a connection.
func (s *settings) explain(err error) error {
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return fmt.Errorf("the broker refuses the login of user %q: %w", s.login.user, err)
	case errors.Is(err, kerr.UnsupportedSaslMechanism), errors.Is(err, kerr.IllegalSaslState):
		return fmt.Errorf("%w; see sasl_mechanism and security_protocol", err)
	}
	var first *kgo.ErrFirstReadEOF
	switch {
	case errors.As(err, &first):
		return fmt.Errorf("%w; the broker hangs up when it expects TLS or a login, and there is none: see security_protocol", err)
	case errors.Is(err, io.EOF) && s.login.sasl != nil:
		return fmt.Errorf("the broker hangs up, as some do that refuse the login of user %q: %w", s.login.user, err)
	}
	return err
}

// keep finds out whether the cluster answers whenever a connection was lost, and asks until it does. It ends with its context.
func (c *Conn) keep(own context.Context) {
	for {
		select {
		case <-c.lost:
		case <-own.Done():
			return
		}
		for pause := firstPause; ; pause = min(2*pause, mostPause) {
			ctx, cancel := context.WithTimeout(own, pingTimeout)
			err := c.client.Ping(ctx)
			cancel()
			if own.Err() != nil {
				return
			}
			c.heard(err)
			if err == nil {
				break
			}
			if !rest(own, pause) {
				return
			}
		}
	}
}

// heard takes note of an answer of the cluster's, or that there was none.
func (c *Conn) heard(err error) {
	c.mu.Lock()
	before := c.reach
	switch {
	case err == nil && before.back != nil:
		c.reach = reach{total: before.total + time.Since(before.since)}
	case err != nil && before.back == nil:
		c.reach.back, c.reach.since, c.reach.why = make(chan struct{}), time.Now(), err
	case err != nil:
		c.reach.why = err
	}
	c.mu.Unlock()
	switch {
	case err == nil && before.back != nil:
		close(before.back)
		c.counts.reconnects.Add(1)
		c.log.Info("kafka: cluster found again", "away", time.Since(before.since).Round(time.Millisecond))
	case err != nil && before.back == nil:
		c.log.Warn("kafka: cluster lost, will look for it", "brokers", c.settings.brokers, "error", c.settings.explain(err))
	}
}

// await waits until the cluster answers. The error is one of a message that was not sent.
func (c *Conn) await(ctx context.Context) error {
	for {
		c.mu.Lock()
		r, closed := c.reach, c.listeners == nil
		c.mu.Unlock()
		switch {
		case closed:
			return transport.ErrClosed
		case ctx.Err() != nil && r.back != nil:
			return fmt.Errorf("%w: %w: %w", transport.ErrNotSent, context.Cause(ctx), &transport.OutageError{For: time.Since(r.since), Cause: r.why})
		case ctx.Err() != nil:
			return fmt.Errorf("%w: %w", transport.ErrNotSent, context.Cause(ctx))
		case r.back == nil:
			return nil
		}
		select {
		case <-r.back:
		case <-ctx.Done():
		case <-c.ending:
			return transport.ErrClosed
		}
	}
}

// Close implements [transport.Transport].
func (c *Conn) Close(ctx context.Context) error {
	c.mu.Lock()
	all := c.listeners
	c.listeners = nil
	c.mu.Unlock()
	if all == nil {
		return fmt.Errorf("kafka: close: %w", transport.ErrClosed)
	}
	err := c.client.Flush(ctx)
	if err != nil {
		err = fmt.Errorf("kafka: close: %w: %d notifications have not left", err, c.client.BufferedProduceRecords())
	}
	c.end() // listeners that wait for their deliveries to be settled do so no more
	defer context.AfterFunc(ctx, func() {
		for l := range all {
			l.life.abort()
		}
	})()
	var closing sync.WaitGroup
	for l := range all {
		closing.Go(func() { _ = l.Close(ctx) }) // it says that it was closed, or that the broker has not heard of it
	}
	closing.Wait()
	c.work.Wait()
	c.client.Close()
	return err
}

// goOn has work done that Close waits for, unless that was called.
func (c *Conn) goOn(work func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.listeners == nil {
		return false
	}
	c.work.Go(work)
	return true
}

// Statistics implements [transport.Meter]. A cluster is one connection; the client's connections to its brokers come and go.
func (c *Conn) Statistics() transport.Statistics {
	n := &c.counts
	s := transport.Statistics{
		Published: n.published.Load(), Confirmed: n.confirmed.Load(), Refused: n.refused.Load(), Reconnects: n.reconnects.Load(), Connections: 1,
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Away = c.reach.total
	if c.reach.back == nil {
		s.Connected = 1
	} else {
		s.Away += time.Since(c.reach.since)
	}
	return s
}

// hooks tell the connection of what the client's connections to brokers meet.
type hooks struct{ c *Conn }

// OnBrokerConnect implements [kgo.HookBrokerConnect].
func (h hooks) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err != nil {
		h.c.suspect()
		return
	}
	h.c.counts.connected.Add(1)
}

// OnBrokerDisconnect implements [kgo.HookBrokerDisconnect].
func (h hooks) OnBrokerDisconnect(kgo.BrokerMetadata, net.Conn) {
	if h.c.counts.connected.Add(-1) == 0 {
		h.c.suspect()
	}
}

// suspect has the keeper look whether the cluster answers.
func (c *Conn) suspect() {
	select {
	case c.lost <- struct{}{}:
	default:
	}
}
