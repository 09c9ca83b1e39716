package nats

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/goslo/goslo/transport"
)

const (
	connectTimeout = 5 * time.Second // for one server: dial, TLS and the first exchange
	pingInterval   = 20 * time.Second
	maxPingsOut    = 2

	// settleTime is how long after a reconnection other clients may still be on their way back, so that
	// "nobody listens" is asked again before it is believed.
	settleTime = 2 * time.Second
)

var (
	_ transport.Transport   = (*Conn)(nil)
	_ transport.Inspector   = (*Conn)(nil)
	_ transport.Namer       = (*Conn)(nil)
	_ transport.Redeliverer = (*Conn)(nil)
	_ transport.Meter       = (*Conn)(nil)

	_ transport.Sharer = (*topicListener)(nil)
	_ transport.Pusher = (*replyListener)(nil)
)

// A Conn is a connection to a NATS cluster. It implements [transport.Transport], [transport.Inspector]
// and [transport.Namer].
type Conn struct {
	cfg    Config
	log    *slog.Logger
	prefix string
	nc     *nats.Conn
	js     jetstream.JetStream
	asks   asks
	keeper keeper
	making making

	subscriptions subscriptions

	counters counters
	notified sync.Map // subjects of notifications to the *link on which their streams were made

	link   atomic.Pointer[link] // nil while the connection is away
	socket atomic.Pointer[socket]

	mu        sync.Mutex
	away      absence
	listeners map[listener]struct{}
	closed    chan struct{} // closed under mu
	endDials  context.CancelFunc
	gone      chan struct{} // closed by nats.go's last callback
}

// An absence is a time without connection, or the next one. Guarded by Conn.mu.
type absence struct {
	back  chan struct{} // closed when the connection comes back
	since time.Time
	cause error         // why it is not over; nats.go would have us wait for a dial under way before it says
	total time.Duration // of those that are over
}

// A link is one unbroken stretch of connection.
type link struct {
	lost  chan struct{} // closed when it breaks
	again bool          // it is not the first one
	since time.Time
}

// settling says whether other clients may still be on their way back to a bus that was away.
func (l *link) settling() bool { return l.again && time.Since(l.since) < settleTime }

func (l *link) isLost() bool {
	select {
	case <-l.lost:
		return true
	default:
		return false
	}
}

// during runs step with a context that ends when the link breaks.
func (l *link) during(ctx context.Context, step func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-l.lost:
			cancel(errLinkLost)
		case <-ctx.Done():
		}
	})
	err := step(ctx)
	cancel(nil)
	watch.Wait()
	return err
}

// A listener is what the connection's life concerns.
type listener interface {
	transport.Listener
	rebuild(ctx context.Context) error // the connection is back; queues may be gone
	tick(now time.Time) bool           // renew claims; true asks for a rebuild
	release()                          // the connection ends; unsettled messages go back
	end()                              // nothing more will come
}

// Open connects to the first server that answers. It tries each once, so its error tells what is wrong with
// them. A connection that is lost later is rebuilt for as long as it takes, with pauses of 50 to 150 ms that
// grow to 2 s.
func Open(ctx context.Context, cfg Config) (*Conn, error) {
	if len(cfg.Servers) == 0 {
		cfg.Servers = []string{net.JoinHostPort("127.0.0.1", "4222")}
	}
	if cfg.Exchange == "" {
		cfg.Exchange = "openstack"
	}
	if cfg.Program == "" {
		cfg.Program = filepath.Base(os.Args[0])
	}
	cfg.Replicas = max(cfg.Replicas, 1)
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	c := &Conn{
		cfg:       cfg,
		log:       cfg.Logger,
		prefix:    prefix(cfg.VirtualHost),
		away:      absence{back: make(chan struct{})},
		listeners: map[listener]struct{}{},
		making:    newMaking(),
		closed:    make(chan struct{}),
		gone:      make(chan struct{}),
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if err := c.connect(ctx); err != nil {
		return nil, fmt.Errorf("nats: connect to %s: %w", strings.Join(cfg.Servers, ", "), err)
	}
	c.up(c.nc, false)
	c.asks.start(c)
	c.keeper.start(ctx, c)
	return c, nil
}

func (c *Conn) connect(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	identity, err := c.cfg.Auth.option()
	if err != nil {
		return err
	}
	// Dials end with the first connection's context, and later with Close.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	c.endDials = end
	stop := context.AfterFunc(ctx, end)
	d := &dialer{conn: c, life: life}
	urls := make([]string, len(c.cfg.Servers))
	for i, s := range c.cfg.Servers {
		urls[i] = "nats://" + s
	}
	timeout := connectTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = max(min(timeout, time.Until(deadline)), time.Millisecond)
	}
	options := []nats.Option{
		identity,
		nats.Name(fmt.Sprintf("%s:%d", c.cfg.Program, os.Getpid())),
		nats.SetCustomDialer(d),
		nats.SkipHostLookup(), // the dialer does, and checks certificates by name
		nats.Timeout(timeout),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(maxPingsOut),
		nats.CustomInboxPrefix(c.prefix + replyToken),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // credentials are renewed on servers and clients at different times
		nats.CustomReconnectDelay(backOff),
		nats.ReconnectBufSize(-1), // what cannot leave now is an error, not a surprise later
		nats.SkipSubjectValidation(),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { c.down(err) }),
		nats.ReconnectHandler(func(nc *nats.Conn) { c.up(nc, true) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			err = explain(c.cfg, d.last(err))
			c.mu.Lock()
			c.away.cause = err
			c.mu.Unlock()
			c.log.Debug("nats: cannot reconnect yet", "error", err)
		}),
		nats.ErrorHandler(c.trouble),
		nats.ClosedHandler(func(*nats.Conn) { end(); close(c.gone) }),
	}
	if c.cfg.TLS != nil {
		options = append(options, nats.Secure(c.cfg.TLS))
	}
	c.nc, err = nats.Connect(strings.Join(urls, ","), options...)
	if err == nil {
		c.js, err = jetstream.New(c.nc)
		if !stop() {
			err = ctx.Err()
		}
		if err != nil {
			c.nc.Close()
			<-c.gone
		}
	}
	if err != nil {
		end()
		return explain(c.cfg, d.last(err))
	}
	return nil
}

// explain adds what to do.
func explain(c Config, err error) error {
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked):
		return fmt.Errorf("the server refuses %s: %w", c.Auth, err)
	case errors.Is(err, nats.ErrSecureConnRequired), errors.Is(err, nats.ErrSecureConnWanted):
		return fmt.Errorf("%w; TLS is demanded by tls=true and must be configured on the server", err)
	}
	return err
}

func backOff(attempts int) time.Duration {
	pause := min(50*time.Millisecond<<min(attempts-1, 6), 2*time.Second)
	return pause/2 + rand.N(pause)
}

// up marks the connection usable.
func (c *Conn) up(nc *nats.Conn, again bool) {
	c.log.Info("nats: connected", "server", nc.ConnectedAddr(), "name", nc.ConnectedServerName(), "again", again)
	c.mu.Lock()
	if old := c.link.Swap(&link{lost: make(chan struct{}), again: again, since: time.Now()}); old != nil {
		close(old.lost) // the first connection broke before we had noted it
	} else if again {
		c.away.total += time.Since(c.away.since)
	}
	close(c.away.back)
	c.away.back = make(chan struct{})
	c.mu.Unlock()
	if again {
		c.counters.reconnects.Add(1)
		c.keeper.rebuildAll()
	}
}

// down marks the connection lost.
func (c *Conn) down(err error) {
	c.mu.Lock()
	l := c.link.Swap(nil)
	if l == nil {
		c.mu.Unlock()
		return
	}
	c.away.since, c.away.cause = time.Now(), err
	c.mu.Unlock()
	close(l.lost)
	select {
	case <-c.closed:
		c.log.Info("nats: disconnected")
	default:
		c.log.Warn("nats: connection lost, reconnecting", "error", err)
	}
}

// trouble is told by nats.go what no method returns.
func (c *Conn) trouble(_ *nats.Conn, s *nats.Subscription, err error) {
	subject := ""
	if s != nil {
		subject = s.Subject
	}
	if c.link.Load() == nil { // a new connection was refused
		c.mu.Lock()
		c.away.cause = explain(c.cfg, err)
		c.mu.Unlock()
	}
	c.log.Error("nats: error of the connection", "subject", subject, "error", err)
}

// await returns the live link with room for a message, waiting for it until ctx ends. The error wraps ErrNotSent
// or ErrClosed.
func (c *Conn) await(ctx context.Context) (*link, error) {
	for {
		if l := c.link.Load(); l != nil {
			crowd := c.socket.Load().crowd()
			if crowd == nil {
				return l, nil
			}
			select {
			case <-crowd:
			case <-l.lost:
			case <-c.closed:
				return nil, transport.ErrClosed
			case <-ctx.Done():
				return nil, fmt.Errorf("%w: %s takes no bytes: %w", transport.ErrNotSent, c.socket.Load().RemoteAddr(), context.Cause(ctx))
			}
			continue
		}
		c.mu.Lock()
		back := c.away.back
		c.mu.Unlock()
		if c.link.Load() != nil {
			continue
		}
		select {
		case <-back:
		case <-c.closed:
			return nil, transport.ErrClosed
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: connect to %s: %w: %w", transport.ErrNotSent, strings.Join(c.cfg.Servers, ", "), c.outage(), context.Cause(ctx))
		}
	}
}

// whileLinked runs step, and again on the next connection when the one it ran on was lost, until ctx ends. Step's own
// context ends with the connection, since nats.go would wait for an answer that cannot come any more.
func (c *Conn) whileLinked(ctx context.Context, step func(context.Context) error) error {
	for {
		l, err := c.await(ctx)
		if err != nil {
			return err
		}
		err = l.during(ctx, step)
		switch {
		case err == nil, ctx.Err() != nil:
			return err
		case l.isLost():
		case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, errAway):
			if err := c.rest(ctx, callbackPause); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// outage says for how long the connection has been away.
func (c *Conn) outage() *transport.OutageError {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &transport.OutageError{For: time.Since(c.away.since), Cause: c.away.cause}
}

// Close implements [transport.Transport].
func (c *Conn) Close(ctx context.Context) error {
	c.mu.Lock()
	select {
	case <-c.closed:
		c.mu.Unlock()
		<-c.gone
		return nil
	default:
	}
	close(c.closed)
	listeners := make([]listener, 0, len(c.listeners))
	for l := range c.listeners {
		listeners = append(listeners, l)
	}
	c.mu.Unlock()

	var wg sync.WaitGroup
	for _, l := range listeners {
		wg.Go(func() {
			if err := l.Close(ctx); err != nil {
				c.log.Debug("nats: close listener", "listener", l.Addr(), "error", err)
			}
		})
	}
	wg.Wait()
	c.keeper.stop()
	for _, l := range c.snapshot() {
		l.release()
	}
	var err error
	if c.link.Load() != nil {
		if err = flush(ctx, c.nc); err != nil {
			err = fmt.Errorf("nats: close: what was sent last may not have left: %w", err)
		}
	}
	c.endDials() // or Close waits for a dial in progress
	c.nc.Close()
	<-c.gone
	for _, l := range listeners {
		l.end()
	}
	return err
}

// flush waits until the server has read what was written.
func flush(ctx context.Context, nc *nats.Conn) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, connectTimeout)
		defer cancel()
	}
	return nc.FlushWithContext(ctx)
}

func (c *Conn) isClosed() bool {
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}

// add takes a listener into the connection's care.
func (c *Conn) add(l listener) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isClosed() {
		return transport.ErrClosed
	}
	c.listeners[l] = struct{}{}
	return nil
}

func (c *Conn) remove(l listener) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.listeners, l)
}

func (c *Conn) snapshot() []listener {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]listener, 0, len(c.listeners))
	for l := range c.listeners {
		all = append(all, l)
	}
	return all
}

// newToken is a token that nobody else has.
func newToken() string { return nuid.Next() }
