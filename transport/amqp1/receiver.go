package amqp1

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/Azure/go-amqp"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// A subscription keeps one link in attached, on one connection after another.
type subscription struct {
	listener *listener
	at       transport.Address
	window   int
	id       string // of a reply address that we have to make
	cancel   context.CancelFunc
	ending   chan struct{} // closed when no messages are wanted any more
	once     sync.Once

	mu      sync.Mutex
	current *receiver // nil while there is none
	why     error     // what went wrong last
	since   time.Time // when current last changed
	changed chan struct{}
}

func newSubscription(l *listener, at transport.Address, window int) *subscription {
	return &subscription{listener: l, at: at, window: window, ending: make(chan struct{}), since: time.Now(), changed: make(chan struct{})}
}

// run attaches, takes what arrives, and attaches again. first hears how it went the first time.
func (s *subscription) run(ctx context.Context, first chan<- error) {
	c := s.listener.conn
	attached := false
	tell := func(err error) {
		if !attached {
			attached = true
			first <- err
		}
	}
	var told string
	pause := firstPause
	for {
		n, err := c.await(ctx)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			tell(err)
			return
		}
		r, err := s.attach(ctx, n)
		if err == nil {
			began := time.Now()
			if !s.begin(r) { // closed meanwhile
				r.detach(ctx)
				return
			}
			tell(nil)
			err = r.watch()
			s.finish(err)
			if s.over() || ctx.Err() != nil {
				r.detach(ctx)
				return
			}
			r.end()
			if n.isGone() {
				continue
			}
			end(ctx, r.session)
			if time.Since(began) >= pause {
				told, pause = "", firstPause
			}
			c.log.Warn("link lost, will attach again", "listener", s.listener.name, "address", r.source, "error", err)
		} else if n.isGone() || ctx.Err() != nil {
			continue
		}
		if !attached && !errors.Is(err, context.DeadlineExceeded) {
			tell(err) // an answer, and not a broker that is slow
			return
		}
		s.finish(err)
		if text := err.Error(); text != told && r == nil {
			told = text
			c.log.Warn("cannot attach a link, will try on", "listener", s.listener.name, "error", err)
		}
		sleep(ctx, pause)
		pause = min(pause*2, c.settings.retry.link)
	}
}

// attach opens a session and the link, and gives the broker credit.
func (s *subscription) attach(ctx context.Context, n *connection) (*receiver, error) {
	r := &receiver{subscription: s, conn: n}
	var err error
	if s.at.Kind == transport.Reply {
		if err = r.attach(ctx, "", true); err == nil {
			r.send = r.link.Address()
		} else if _, ok := refused(err); ok {
			s.listener.conn.remark("dynamic", "the broker has no dynamic addresses: replies come to a named queue", "broker", n.addr, "error", err)
			var source string
			source, r.send = n.addresses.reply(s.id)
			err = r.attach(ctx, source, false)
		}
	} else {
		var source string
		if source, err = n.addresses.from(s.at); err == nil {
			err = r.attach(ctx, source, false)
		}
	}
	if err != nil {
		return nil, err
	}
	if s.at.Kind == transport.Reply {
		if s.listener.name == "" { // before anybody hears of it
			s.listener.name = r.send
		}
		s.listener.conn.own.add(r.send, s.listener)
	}
	return r, nil
}

// begin makes r the current one, unless the listener was closed.
func (s *subscription) begin(r *receiver) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over() {
		return false
	}
	s.current, s.why, s.since = r, nil, time.Now()
	close(s.changed)
	s.changed = make(chan struct{})
	return true
}

// finish notes that there is no link, and why.
func (s *subscription) finish(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil {
		s.current, s.since = nil, time.Now()
	}
	s.why = why
	close(s.changed)
	s.changed = make(chan struct{})
}

// addressOn waits until s is attached on n and returns its address there.
func (s *subscription) addressOn(ctx context.Context, n *connection) (string, error) {
	for {
		s.mu.Lock()
		r, changed := s.current, s.changed
		s.mu.Unlock()
		if r != nil && r.conn == n {
			return r.send, nil
		}
		select {
		case <-changed:
		case <-n.gone():
			return "", errAgain
		case <-s.ending:
			return "", reject(errors.New("the reply listener was closed"))
		case <-ctx.Done():
			return "", fmt.Errorf("%w: waited for a reply address: %w", transport.ErrNotSent, context.Cause(ctx))
		}
	}
}

// ready returns why the link has been away for longer than a moment.
func (s *subscription) ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	away := time.Since(s.since)
	switch {
	case s.current != nil || away < unready || s.over():
		return nil
	case s.why != nil:
		return fmt.Errorf("no messages for %s: %w", away.Round(time.Millisecond), s.why)
	}
	return fmt.Errorf("no messages for %s", away.Round(time.Millisecond))
}

// over says whether no messages are wanted any more.
func (s *subscription) over() bool {
	select {
	case <-s.ending:
		return true
	default:
		return false
	}
}

// stop has the broker send no more, and the link go when all is settled. What had arrived and was not taken is given back.
func (s *subscription) stop(ctx context.Context) {
	s.once.Do(func() { close(s.ending) })
	s.mu.Lock()
	r := s.current
	s.mu.Unlock()
	if r != nil {
		r.stop(ctx)
	} else {
		s.cancel() // it is looking for a connection, or attaching
	}
	for _, a := range s.listener.inbox.remove(s) {
		a.giveBack()
	}
}

// A receiver is one link in, with its session.
type receiver struct {
	*subscription
	conn    *connection
	source  string // where it listens
	send    string // of a reply address: where to send
	link    *amqp.Receiver
	in      *inlet // of the link
	session *amqp.Session
	pumping context.Context    //nolint:containedctx // watch's own
	idle    context.CancelFunc // ends it

	state sync.Mutex // guards what follows
	flow
}

// flow counts the messages of a link: the broker may send as many as its window has room for.
type flow struct {
	unsettled int  // have arrived
	freed     int  // were settled since credit was last given
	closing   bool // no more is wanted
	dead      bool // the link is gone
}

// attach opens the session and the link.
func (r *receiver) attach(ctx context.Context, source string, dynamic bool) error {
	within, cancel := context.WithTimeout(ctx, attachTimeout)
	defer cancel()
	session, err := r.conn.amqp.NewSession(within, nil)
	if err != nil {
		return err
	}
	target := source
	if dynamic {
		target = "rpc-response"
	}
	name := "openstack.org/om/receiver/[" + target + "]/" + wire.NewID()
	o := &amqp.ReceiverOptions{
		Credit:         -1, // ours to give
		Name:           name,
		DynamicAddress: dynamic,
		TargetAddress:  target,
	}
	if r.conn.product.rabbit() && r.lasts() {
		o.SourceDurability = amqp.DurabilityConfiguration
	}
	r.in = newInlet(r.conn.mux, name, r.take) // before anything can come, credit or not
	r.conn.mux.expect(&r.in.link)
	link, err := session.NewReceiver(within, source, o)
	if err != nil {
		r.conn.mux.forget(&r.in.link)
		end(ctx, session)
		return err
	}
	r.source, r.session, r.link = source, session, link
	r.pumping, r.idle = context.WithCancel(ctx)
	return nil
}

// lasts says whether what is sent to the link's address waits there while nobody listens.
func (s *subscription) lasts() bool {
	return s.at.Kind == transport.Topic || s.at.Kind == transport.Notification
}

// watch returns when the link ends, or nothing more is to come. The library, to which no message comes, tells of the former.
func (r *receiver) watch() error {
	r.in.issue(r.window)
	_, err := r.link.Receive(r.pumping, nil)
	return err
}

// take is called with each message that arrives. It does not block.
func (r *receiver) take(m message) {
	a := arrival{link: r, in: m}
	if !r.took() {
		a.giveBack()
	} else if push := r.listener.inbox.push(a); push != nil {
		a.push(push)
	}
}

// took counts a message in, and says whether it is wanted.
func (r *receiver) took() bool {
	r.state.Lock()
	r.unsettled++
	wanted, give := !r.closing, r.due()
	r.state.Unlock()
	r.give(give)
	return wanted
}

// settled counts a message out, and gives the broker credit when it has little.
func (r *receiver) settled() {
	r.state.Lock()
	r.unsettled--
	r.freed++
	if r.closing && r.unsettled == 0 {
		r.idle()
	}
	give := r.due()
	r.state.Unlock()
	r.give(give)
}

// due returns the credit that the broker is to be given now. RabbitMQ's plugin reckons without what is on its way to it from the
// queue, and sends more than its credit when it gets some meanwhile, which the library counts as credit lost for good: there it
// gets none before it has used up all. The lock is held.
func (r *receiver) due() (give int) {
	left := r.window - r.unsettled - r.freed
	if r.closing || r.dead || r.freed < left || left > 0 && r.conn.product.rabbit() {
		return 0
	}
	give, r.freed = r.freed, 0
	return give
}

func (r *receiver) give(credit int) {
	if credit > 0 {
		r.in.issue(credit)
	}
}

// stop takes the broker's credit back where that can be done. Otherwise, and of messages on their way by then, what comes
// is given back; the broker's credit is not renewed.
func (r *receiver) stop(ctx context.Context) {
	r.state.Lock()
	r.closing = true
	r.state.Unlock()
	if r.conn.product.drains() {
		within, cancel := context.WithTimeout(ctx, goodbye)
		defer cancel()
		if err := r.in.drain(within); err != nil {
			r.listener.conn.log.Debug("credit not taken back", "listener", r.listener.name, "address", r.source, "error", err)
		}
	}
	r.state.Lock()
	defer r.state.Unlock()
	if r.unsettled == 0 {
		r.idle()
	}
}

// end notes that the link is gone.
func (r *receiver) end() {
	r.state.Lock()
	r.dead = true
	r.state.Unlock()
	r.idle()
}

func (r *receiver) isDead() bool {
	r.state.Lock()
	defer r.state.Unlock()
	return r.dead
}

func (r *receiver) detach(ctx context.Context) {
	detach(ctx, r.conn.product, r.link, r.session)
	r.end()
}
