//go:build zmq

package zmq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	zmq4 "github.com/pebbe/zmq4"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

var (
	_ transport.Transport = (*Conn)(nil)
	_ transport.Inspector = (*Conn)(nil)
	_ transport.Namer     = (*Conn)(nil)
	_ transport.Meter     = (*Conn)(nil)
	_ transport.Leaver    = (*topicListener)(nil)
	_ transport.Sharer    = (*topicListener)(nil)
	_ transport.Pusher    = (*replyListener)(nil)
)

// A Conn is a member of the bus: it can be connected to, and connects to others. It implements [transport.Transport],
// [transport.Inspector], [transport.Namer] and [transport.Meter].
type Conn struct {
	cfg       *settings
	log       *slog.Logger
	self      member
	directory directory
	loop      *loop

	life       context.Context //nolint:containedctx // It ends what runs in the background, by Close.
	endLife    context.CancelFunc
	background sync.WaitGroup
	closing    chan struct{}
	once       sync.Once

	clients clients
	home    string // what its reply addresses end with

	announcing chan struct{} // a token: who has it tells the directory what we serve
	peers      *peers
	meter      meter
	listeners  listeners
}

// Open becomes a member of the bus: it binds its sockets, and tells the directory. A directory that is away is an error.
func Open(ctx context.Context, cfg Config) (*Conn, error) {
	s, o, err := cfg.read()
	if err != nil {
		return nil, err
	}
	c := &Conn{
		cfg:     s,
		log:     cfg.Logger,
		self:    member{ID: wire.NewID(), Host: hostID(), Key: s.security.public()},
		closing: make(chan struct{}),

		announcing: make(chan struct{}, 1),
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	o.Log(ctx, c.log)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("zmq: open: %w", context.Cause(ctx))
	}
	c.life, c.endLife = context.WithCancel(context.WithoutCancel(ctx))
	c.peers = newPeers(c)
	c.listeners.init(c)
	if err := c.start(ctx); err != nil {
		c.endLife()
		return nil, fmt.Errorf("zmq: open: %w", err)
	}
	return c, nil
}

// start opens the sockets and the directory, and sets the loop going.
func (c *Conn) start(ctx context.Context) error {
	l, err := newLoop(c)
	if err != nil {
		return err
	}
	c.loop, c.home = l, replyAddress{member: c.self}.home()
	if len(c.home) > homeMost {
		c.home = "" // its requests have all of it
	}
	if c.directory, err = c.cfg.openDirectory(ctx, c.log); err == nil {
		if err = c.directory.join(ctx, c.self); err != nil {
			err = errors.Join(err, c.directory.close(ctx))
		}
	}
	if err != nil {
		l.end()
		return err
	}
	if t := c.cfg.tcp; t.on && c.self.Key == "" && !t.loopback() {
		c.log.Warn("zmq: others can connect from other hosts, and are neither checked nor encrypted; give curve_key and curve_clients", "endpoints", c.self.Endpoints)
	}
	go l.run() // Close waits for it
	c.background.Go(c.listeners.shed)
	return nil
}

// newLoop makes the sockets that are there from the start.
func newLoop(c *Conn) (_ *loop, err error) {
	l := &loop{conn: c, ended: make(chan struct{}), links: map[*link]struct{}{}, sessions: map[string]*session{}}
	if l.poller, err = newPoller(); err != nil {
		return nil, err
	}
	l.inbox.ring = l.poller.wake
	if l.context, err = zmq4.NewContext(); err != nil {
		return nil, errors.Join(err, l.poller.close())
	}
	var router *zmq4.Socket
	defer func() {
		if err != nil {
			err = errors.Join(err, l.poller.close())
			if router != nil {
				err = errors.Join(err, router.Close())
			}
			if l.unguard != nil {
				err = errors.Join(err, l.unguard())
			}
			c.cfg.unbind(c.self.ID)
			err = errors.Join(err, l.context.Term())
		}
	}()
	if l.unguard, err = c.cfg.security.start(l.context); err != nil {
		return nil, err
	}
	if router, err = l.context.NewSocket(zmq4.ROUTER); err != nil {
		return nil, err
	}
	if err = c.cfg.dress(router); err != nil {
		return nil, err
	}
	if err = errors.Join(router.SetRouterMandatory(1), router.SetRouterHandover(true), router.SetBacklog(1024), c.cfg.security.server(router)); err != nil {
		return nil, err
	}
	if c.self.Endpoints, err = c.cfg.bind(c.life, router, c.self.ID); err != nil {
		return nil, err
	}
	if l.router, err = l.poller.add(router, nil); err != nil {
		return nil, err
	}
	l.heat(l.router)
	return l, nil
}

// reach returns the endpoints of a member that may be reached from here, the best first.
func (c *Conn) reach(m member) []string {
	return slices.DeleteFunc(slices.Clone(m.Endpoints), func(e string) bool {
		path, ipc := strings.CutPrefix(e, "ipc://")
		if !ipc {
			return false
		}
		_, err := os.Stat(path)
		return m.Host != c.self.Host && m.Host != "" || err != nil && len(m.Endpoints) > 1
	})
}

func (c *Conn) isClosed() bool {
	select {
	case <-c.closing:
		return true
	default:
		return false
	}
}

// Close implements [transport.Transport]. Senders that wait have a moment to hear what became of their messages; those who
// connect to us are told that we leave, and what waits here goes to other servers.
func (c *Conn) Close(ctx context.Context) error {
	first := false
	c.once.Do(func() {
		first = true
		close(c.closing)
	})
	if !first {
		<-c.loop.ended
		return nil
	}
	c.loop.inbox.order(func() { c.loop.closing, c.loop.due = time.Now(), true })
	var errs []error
	for _, l := range c.listeners.all() {
		if err := l.Close(ctx); err != nil {
			errs = append(errs, err)
		}
	}
	errs = append(errs, wrap(c.directory.close(ctx), "leave the directory"))
	c.takeLeave(ctx)
	c.endLife()
	c.background.Wait()
	c.loop.inbox.order(func() { c.loop.stop = true })
	<-c.loop.ended
	c.cfg.unbind(c.self.ID)
	c.listeners.lost()
	return wrap(errors.Join(errs...), "zmq: close")
}

// takeLeave tells clients that we end, and waits until they have said that they send no more, and our own messages have left.
func (c *Conn) takeLeave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	c.loop.inbox.order(func() {
		c.loop.leaving = time.Now()
		c.loop.tellServices()
	})
	tick := time.NewTicker(tickTime / 5)
	defer tick.Stop()
	for {
		idle := make(chan bool, 1)
		if !c.loop.inbox.order(func() { idle <- c.loop.idle() }) || <-idle {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// idle says whether nothing is on its way from or to us.
func (l *loop) idle() bool {
	for k := range l.links {
		if len(k.inflight) > 0 {
			return false
		}
	}
	for _, s := range l.sessions {
		if s.connected.Load() && s.stream.up && (!s.left || s.stream.frames.Len() > 0 || s.frame != nil) {
			return false
		}
	}
	return true
}

// wrap says what was tried when err is not nil.
func wrap(err error, what string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
