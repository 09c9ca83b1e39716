package amqp1

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/go-amqp"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// maxSenders is how many links out there are at most; the one that was unused for longest makes room for a new one.
// Brokers bound the sessions of a connection: RabbitMQ at 2047.
const maxSenders = 1000

// A sender is a link out to one address, with its session.
type sender struct {
	address string
	ready   chan struct{} // closed when attached, or err is set
	err     error         // why it could not be attached
	link    *amqp.Sender
	session *amqp.Session
	out     *outlet // of the link

	broken atomic.Bool
	used   atomic.Int64 // when last, in nanoseconds
	users  atomic.Int32
}

// senders are the links out of one connection.
type senders struct {
	mu      sync.Mutex
	all     map[string]*sender   // nil once the connection has ended
	queues  map[string]*sighting // of RabbitMQ, by their addresses; see connection.exists
	routes  map[transport.Address]route
	running sync.WaitGroup // those who attach, detach and probe
}

// acquire returns the attached link to an address. The caller releases it. While it is being attached, others wait for the same.
func (n *connection) acquire(ctx context.Context, address string) (*sender, error) {
	n.senders.mu.Lock()
	if n.senders.all == nil {
		n.senders.mu.Unlock()
		return nil, errAgain
	}
	s := n.senders.all[address]
	if s == nil || s.broken.Load() {
		s = &sender{address: address, ready: make(chan struct{})}
		s.used.Store(time.Now().UnixNano())
		if len(n.senders.all) >= maxSenders {
			n.senders.evict(ctx, n.product)
		}
		n.senders.all[address] = s
		// It goes on when the caller gives up, as others may wait for the link, and the library would keep half of one.
		whole := context.WithoutCancel(ctx)
		n.senders.running.Go(func() {
			defer close(s.ready)
			if s.err = n.attach(whole, s); s.err != nil {
				s.broken.Store(true)
				n.senders.forget(s)
			}
		})
	}
	s.users.Add(1)
	n.senders.mu.Unlock()
	if !closed(s.ready) {
		select {
		case <-s.ready:
		case <-ctx.Done():
			s.users.Add(-1)
			return nil, fmt.Errorf("%w: waited for a link to %s: %w", transport.ErrNotSent, address, context.Cause(ctx))
		}
	}
	if s.err != nil {
		s.users.Add(-1)
		return nil, s.err
	}
	return s, nil
}

// closed asks without the end of a context, which costs a timer to be asked for.
func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (s *sender) release() {
	s.used.Store(time.Now().UnixNano())
	s.users.Add(-1)
}

// attach opens a session and the link.
func (n *connection) attach(ctx context.Context, s *sender) error {
	ctx, cancel := context.WithTimeout(ctx, attachTimeout)
	defer cancel()
	session, err := n.amqp.NewSession(ctx, nil)
	if err != nil {
		return err
	}
	name := "openstack.org/om/sender/[" + s.address + "]/" + wire.NewID()
	s.out = newOutlet(n.mux, name)
	n.mux.expect(&s.out.link)
	link, err := session.NewSender(ctx, s.address, &amqp.SenderOptions{Name: name, SourceAddress: s.address})
	if err != nil {
		n.mux.forget(&s.out.link)
		end(ctx, session)
		return err
	}
	if n.product.rabbit() {
		sleep(ctx, moment)
	}
	s.session, s.link = session, link
	return nil
}

// end closes a session, and its links with it.
func end(ctx context.Context, session *amqp.Session) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	_ = session.Close(ctx) // it may have ended, and if not there is nothing more to be done
}

// detach closes a link and its session. The broker has read everything that was sent on it then.
func detach(ctx context.Context, p product, link interface{ Close(context.Context) error }, session *amqp.Session) {
	if !p.rabbit() { // which does not answer, and forgets the link with its session
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
		defer cancel()
		_ = link.Close(ctx) // as above
	}
	end(ctx, session)
}

func (a *senders) forget(s *sender) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all[s.address] == s {
		delete(a.all, s.address)
	}
}

// spoil has s not be used again.
func (n *connection) spoil(ctx context.Context, s *sender) {
	if s.broken.Swap(true) {
		return
	}
	n.senders.mu.Lock()
	defer n.senders.mu.Unlock()
	if n.senders.all[s.address] == s {
		n.senders.drop(ctx, n.product, s)
	}
}

// detach closes s in the background.
func (a *senders) detach(ctx context.Context, p product, s *sender) {
	whole := context.WithoutCancel(ctx)
	a.running.Go(func() {
		<-s.ready
		if s.err == nil {
			detach(whole, p, s.link, s.session)
		}
	})
}

// reap detaches and forgets what was not used since then.
func (a *senders) reap(ctx context.Context, p product, then time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.overlook(then)
	for _, s := range a.all {
		if s.users.Load() == 0 && s.used.Load() < then.UnixNano() {
			a.drop(ctx, p, s)
		}
	}
}

// evict makes room for one. The lock is held.
func (a *senders) evict(ctx context.Context, p product) {
	var oldest *sender
	for _, s := range a.all {
		if s.users.Load() == 0 && (oldest == nil || s.used.Load() < oldest.used.Load()) {
			oldest = s
		}
	}
	if oldest != nil {
		a.drop(ctx, p, oldest)
	}
}

// drop detaches s, which nobody uses. The lock is held.
func (a *senders) drop(ctx context.Context, p product, s *sender) {
	s.broken.Store(true)
	delete(a.all, s.address)
	a.detach(ctx, p, s)
}

// close detaches all and waits for it. There are no more afterwards.
func (a *senders) close(ctx context.Context, p product) {
	a.mu.Lock()
	for _, s := range a.all {
		a.drop(ctx, p, s)
	}
	a.all = nil
	a.mu.Unlock()
	a.running.Wait()
}

// refused says whether err is the broker's answer, and not the end of a connection or of patience.
func refused(err error) (*amqp.Error, bool) {
	var answer *amqp.Error
	var lost *amqp.ConnError
	if errors.As(err, &lost) {
		return nil, false
	}
	return answer, errors.As(err, &answer)
}
