package transporttest_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
	"github.com/goslo/goslo/transport/transporttest"
)

// A broken transport is a right one with some of its methods replaced. A nil field leaves the method as it is.
type broken struct {
	*memory.Transport

	send    func(t *memory.Transport, ctx context.Context, to transport.Address, m *transport.Message) error
	listen  func(t *memory.Transport, ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error)
	next    func(l *listener, ctx context.Context) (*transport.Delivery, error)
	settler func(d *transport.Delivery, l *listener) transport.Settler
	stop    func(l *listener, ctx context.Context) error // closes a listener
	leave   func(l *listener, ctx context.Context) error
	close   func(t *memory.Transport, ctx context.Context) error
	inspect func(s transport.AddressState, err error) (transport.AddressState, error)
	topics  func(names []string) []string

	redelivery func(transport.Redelivery) transport.Redelivery
}

// A listener is what one of a broken transport gives.
type listener struct {
	transport.Listener
	broken *broken
	from   transport.Address
	closed bool
	count  int
	kept   *transport.Delivery
}

func (b *broken) Send(ctx context.Context, to transport.Address, m *transport.Message) error {
	if b.send == nil {
		return b.Transport.Send(ctx, to, m)
	}
	return b.send(b.Transport, ctx, to, m)
}

func (b *broken) Listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
	listen := b.listen
	if listen == nil {
		listen = (*memory.Transport).Listen
	}
	l, err := listen(b.Transport, ctx, from, o)
	return &listener{Listener: l, broken: b, from: from}, err
}

func (b *broken) Close(ctx context.Context) error {
	if b.close == nil {
		return b.Transport.Close(ctx)
	}
	return b.close(b.Transport, ctx)
}

func (b *broken) Inspect(ctx context.Context, at transport.Address) (transport.AddressState, error) {
	s, err := b.Transport.Inspect(ctx, at)
	if b.inspect != nil {
		return b.inspect(s, err)
	}
	return s, err
}

func (b *broken) Topics(ctx context.Context, exchange string) ([]string, error) {
	names, err := b.Transport.Topics(ctx, exchange)
	if b.topics != nil {
		names = b.topics(names)
	}
	return names, err
}

func (b *broken) Redelivery() transport.Redelivery {
	if b.redelivery != nil {
		return b.redelivery(b.Transport.Redelivery())
	}
	return b.Transport.Redelivery()
}

func (l *listener) Next(ctx context.Context) (*transport.Delivery, error) {
	next := l.broken.next
	if next == nil {
		next = func(l *listener, ctx context.Context) (*transport.Delivery, error) { return l.Listener.Next(ctx) }
	}
	d, err := next(l, ctx)
	if err == nil && l.broken.settler != nil {
		d.Settler = l.broken.settler(d, l)
	}
	return d, err
}

func (l *listener) Close(ctx context.Context) error {
	l.closed = true
	if l.broken.stop != nil {
		return l.broken.stop(l, ctx)
	}
	return l.Listener.Close(ctx)
}

func (l *listener) Leave(ctx context.Context) error {
	if l.broken.leave != nil {
		return l.broken.leave(l, ctx)
	}
	return l.Listener.(transport.Leaver).Leave(ctx)
}

// A settler is one with replaced methods.
type settler struct{ ack, requeue func(context.Context) error }

func (s settler) Ack(ctx context.Context) error     { return s.ack(ctx) }
func (s settler) Requeue(ctx context.Context) error { return s.requeue(ctx) }

// A shared thing is one for all transports of a bus.
type shared struct {
	mu       sync.Mutex
	messages map[string]*transport.Message // by UniqueID
	last     transport.Listener
	count    int
}

func (s *shared) turn() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	return s.count
}

// first returns the first message that was kept under the ID.
func (s *shared) first(m *transport.Message) *transport.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.messages[m.UniqueID] == nil {
		s.messages[m.UniqueID] = m
	}
	return s.messages[m.UniqueID]
}

// rewrite is Send of a changed copy.
func rewrite(change func(to *transport.Address, m *transport.Message)) broken {
	return broken{send: func(t *memory.Transport, ctx context.Context, to transport.Address, m *transport.Message) error {
		c := *m
		change(&to, &c)
		return t.Send(ctx, to, &c)
	}}
}

// rename is both Send and Listen at a changed address.
func rename(change func(a *transport.Address)) broken {
	b := rewrite(func(to *transport.Address, _ *transport.Message) { change(to) })
	b.listen = func(t *memory.Transport, ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
		change(&from)
		return t.Listen(ctx, from, o)
	}
	return b
}

// forgive is Send without some errors.
func forgive(forgiven func(to transport.Address, m *transport.Message, err error) bool) broken {
	return broken{send: func(t *memory.Transport, ctx context.Context, to transport.Address, m *transport.Message) error {
		err := t.Send(ctx, to, m)
		if err != nil && forgiven(to, m, err) {
			return nil
		}
		return err
	}}
}

// Each way to break a promise of the seam, with the cases that must notice. Others may notice as well.
var breakages = []breakage{
	{"sends to a topic twice", "TopicReachesOneServer ManySenders Requests", func(*shared) broken {
		return broken{send: func(t *memory.Transport, ctx context.Context, to transport.Address, m *transport.Message) error {
			if to.Kind == transport.Topic && to.Server == "" {
				if err := t.Send(ctx, to, m); err != nil {
					return err
				}
			}
			return t.Send(ctx, to, m)
		}}
	}},
	{"takes a server for its topic", "ServerReachesThatServer ServersShareATopic CastToNobody", func(*shared) broken {
		b := rewrite(func(to *transport.Address, _ *transport.Message) { to.Server = "" })
		b.next = func(l *listener, ctx context.Context) (*transport.Delivery, error) {
			if l.from.Server == "two" { // never works
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return l.Listener.Next(ctx)
		}
		return b
	}},
	{"drops a fanout", "FanoutReachesEveryServer ServersOfOneName NothingMissedAfterListen", func(*shared) broken {
		return broken{next: func(l *listener, ctx context.Context) (*transport.Delivery, error) {
			d, err := l.Listener.Next(ctx)
			if err == nil && d.To.Kind == transport.Fanout && (l.from.Server == "two" || l.from.Server == "one") {
				return l.Listener.Next(ctx)
			}
			return d, err
		}}
	}},
	{"takes a fanout that nobody hears for an error", "FanoutToNobody", func(*shared) broken {
		return broken{send: func(t *memory.Transport, ctx context.Context, to transport.Address, m *transport.Message) error {
			if s, err := t.Inspect(ctx, to); to.Kind == transport.Fanout && err == nil && s.Listeners == 0 {
				return transport.ErrNoListener
			}
			return t.Send(ctx, to, m)
		}}
	}},
	{"says nothing when nobody listens", "CastToNobody CallToNobody OddNames ExchangesAreSeparate", func(*shared) broken {
		return forgive(func(_ transport.Address, _ *transport.Message, err error) bool {
			return errors.Is(err, transport.ErrNoListener)
		})
	}},
	{"swaps neighbours", "OrderIsKept", func(*shared) broken {
		return broken{next: func(l *listener, ctx context.Context) (*transport.Delivery, error) {
			if d := l.kept; d != nil {
				l.kept = nil
				return d, nil
			}
			l.count++
			d, err := l.Listener.Next(ctx)
			if err != nil || l.count%50 != 0 {
				return d, err
			}
			l.kept = d
			return l.Listener.Next(ctx)
		}}
	}},
	{"loses some when many send", "ManySenders CloseAmidSends ManyCallers", func(s *shared) broken {
		return broken{send: func(t *memory.Transport, ctx context.Context, to transport.Address, m *transport.Message) error {
			if s.turn()%50 == 2 {
				return nil
			}
			return t.Send(ctx, to, m)
		}}
	}},
	{"takes any address", "BadAddress", func(*shared) broken {
		return forgive(func(_ transport.Address, _ *transport.Message, err error) bool {
			return errors.Is(err, transport.ErrRejected)
		})
	}},
	{"knows one exchange only", "ExchangesAreSeparate", func(*shared) broken {
		return rename(func(a *transport.Address) { a.Exchange = "" })
	}},
	{"listens when first asked", "NothingMissedAfterListen", func(*shared) broken {
		return broken{listen: func(t *memory.Transport, _ context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
			return &lateListener{transport: t, from: from, options: o}, nil
		}}
	}},
	{"has one reply listener for all", "ReplyReachesItsListener", func(s *shared) broken {
		return broken{
			listen: func(t *memory.Transport, ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
				l, err := t.Listen(ctx, from, o)
				if from.Kind == transport.Reply {
					s.last = l
				}
				return l, err
			},
			send: func(t *memory.Transport, ctx context.Context, to transport.Address, m *transport.Message) error {
				if to.Kind == transport.Reply {
					to.Topic = s.last.Addr()
				}
				return t.Send(ctx, to, m)
			},
		}
	}},
	{"drops heartbeats", "HeartbeatsThenReply ReplySurvives", func(*shared) broken {
		return broken{send: func(t *memory.Transport, ctx context.Context, to transport.Address, m *transport.Message) error {
			if to.Kind == transport.Reply && !m.Ending {
				return nil
			}
			return t.Send(ctx, to, m)
		}}
	}},
	{"waits for a caller that is gone", "ReplyToAGoneListener", func(*shared) broken {
		return broken{send: func(t *memory.Transport, ctx context.Context, to transport.Address, m *transport.Message) error {
			err := t.Send(ctx, to, m)
			if to.Kind == transport.Reply && errors.Is(err, transport.ErrNoListener) {
				<-ctx.Done()
			}
			return err
		}}
	}},
	{"mixes up calls", "ManyCallers", func(*shared) broken {
		var mu sync.Mutex
		id := ""
		return rewrite(func(to *transport.Address, m *transport.Message) {
			mu.Lock()
			defer mu.Unlock()
			if to.Kind == transport.Reply && id != "" {
				m.ID, id = id, m.ID
			} else if to.Kind == transport.Reply {
				id = m.ID
			}
		})
	}},
	{"forgets the namespace", "RequestSurvives", func(*shared) broken {
		return rewrite(func(_ *transport.Address, m *transport.Message) { m.Namespace = "" })
	}},
	{"forgets headers", "HeadersSurvive", func(*shared) broken {
		return rewrite(func(_ *transport.Address, m *transport.Message) { m.Headers = nil })
	}},
	{"takes any header", "HeadersSurvive", func(*shared) broken {
		return rewrite(func(_ *transport.Address, m *transport.Message) {
			if transport.CheckHeaders(m.Headers) != nil {
				m.Headers = nil
			}
		})
	}},
	{"gives all receivers the same headers", "HeadersSurvive", func(s *shared) broken {
		return broken{next: func(l *listener, ctx context.Context) (*transport.Delivery, error) {
			d, err := l.Listener.Next(ctx)
			if err == nil {
				d.Message.Headers = s.first(d.Message).Headers
			}
			return d, err
		}}
	}},
	{"forgets the failure", "ReplySurvives JSONSurvives", func(*shared) broken {
		return rewrite(func(_ *transport.Address, m *transport.Message) { m.Failure = nil })
	}},
	{"decodes and encodes", "JSONSurvives", func(*shared) broken {
		return rewrite(func(_ *transport.Address, m *transport.Message) {
			var v any
			if json.Unmarshal(m.Args, &v) == nil {
				m.Args, _ = json.Marshal(v)
			}
		})
	}},
	{"has a limit", "LargeBody", func(*shared) broken {
		return broken{send: func(t *memory.Transport, ctx context.Context, to transport.Address, m *transport.Message) error {
			if len(m.Args) > 1<<20 {
				return transport.ErrRejected
			}
			return t.Send(ctx, to, m)
		}}
	}},
	{"keeps the sender's message", "SendKeepsNothing DeliveryIsTheReceivers", func(s *shared) broken {
		return broken{
			send: func(t *memory.Transport, ctx context.Context, to transport.Address, m *transport.Message) error {
				s.first(m)
				return t.Send(ctx, to, m)
			},
			next: func(l *listener, ctx context.Context) (*transport.Delivery, error) {
				d, err := l.Listener.Next(ctx)
				if err == nil {
					d.Message = s.first(d.Message)
				}
				return d, err
			},
		}
	}},
	{"keeps the sender's JSON", "SendKeepsNothing RequestSurvives ReplySurvives", func(s *shared) broken {
		return broken{
			send: func(t *memory.Transport, ctx context.Context, to transport.Address, m *transport.Message) error {
				own := *m
				s.first(&own)
				return t.Send(ctx, to, m)
			},
			next: func(l *listener, ctx context.Context) (*transport.Delivery, error) {
				d, err := l.Listener.Next(ctx)
				if err == nil {
					m := s.first(d.Message)
					d.Message.Args, d.Message.Result, d.Message.Failure = m.Args, m.Result, m.Failure
				}
				return d, err
			},
		}
	}},
	{"forgets to acknowledge", "AckRemoves PrefetchBounds", func(*shared) broken {
		return broken{settler: func(d *transport.Delivery, _ *listener) transport.Settler {
			return settler{ack: func(context.Context) error { return nil }, requeue: d.Requeue}
		}}
	}},
	{"acknowledges for a requeue", "Requeue", func(*shared) broken {
		return broken{settler: func(d *transport.Delivery, _ *listener) transport.Settler {
			return settler{ack: d.Ack, requeue: d.Ack}
		}}
	}},
	{"acknowledges by itself", "UnsettledComesBack PrefetchBounds", func(*shared) broken {
		return broken{settler: func(d *transport.Delivery, _ *listener) transport.Settler {
			err := d.Ack(context.Background())
			return settler{ack: func(context.Context) error { return err }, requeue: d.Requeue}
		}}
	}},
	{"cannot settle once the listener is closed", "SettleAfterClose", func(*shared) broken {
		return broken{settler: func(d *transport.Delivery, l *listener) transport.Settler {
			return settler{requeue: d.Requeue, ack: func(ctx context.Context) error {
				if l.closed {
					return transport.ErrClosed
				}
				return d.Ack(ctx)
			}}
		}}
	}},
	{"reads ahead without end, and keeps it", "BackPressure", func(*shared) broken {
		return broken{listen: func(t *memory.Transport, ctx context.Context, from transport.Address, _ transport.ListenOptions) (transport.Listener, error) {
			l, err := t.Listen(ctx, from, transport.ListenOptions{Prefetch: 1000})
			if err != nil {
				return nil, err
			}
			return newHog(l), nil
		}}
	}},
	{"loses what a closed listener had not returned", "UntakenComesBack", func(*shared) broken {
		return broken{stop: func(l *listener, ctx context.Context) error {
			short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
			defer cancel()
			for {
				d, err := l.Listener.Next(short)
				if err != nil {
					return l.Listener.Close(ctx)
				}
				if err := d.Ack(ctx); err != nil {
					return err
				}
			}
		}}
	}},
	{"leaves in name only", "Leave", func(*shared) broken {
		return broken{leave: func(*listener, context.Context) error { return nil }}
	}},
	{"leaves everything", "Leave LeaveGivesBack", func(*shared) broken {
		return broken{leave: func(l *listener, ctx context.Context) error { return l.Listener.Close(ctx) }}
	}},
	{"claims to leave, but does not", "Leave", func(*shared) broken {
		return broken{leave: func(*listener, context.Context) error { return errors.ErrUnsupported }}
	}},
	{"loses what it had been handed when it leaves", "LeaveGivesBack", func(*shared) broken {
		return broken{leave: func(l *listener, ctx context.Context) error {
			short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
			defer cancel()
			d, err := l.Listener.Next(short)
			if err == nil {
				err = d.Ack(ctx)
			}
			if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, transport.ErrClosed) {
				return err
			}
			return l.Listener.(transport.Leaver).Leave(ctx)
		}}
	}},
	{"gives everything back when it leaves", "LeaveKeepsWhatIsTaken", func(*shared) broken {
		return broken{
			settler: func(d *transport.Delivery, l *listener) transport.Settler {
				if l.kept == nil {
					l.kept = d
				}
				return d.Settler
			},
			leave: func(l *listener, ctx context.Context) error {
				if l.kept != nil && l.count == 0 {
					l.count++
					if err := l.kept.Requeue(ctx); err != nil {
						return err
					}
				}
				return l.Listener.(transport.Leaver).Leave(ctx)
			},
		}
	}},
	{"keeps nothing while nobody is there", "KeptWhileAway CallKeptWhileAway", func(*shared) broken {
		return broken{send: func(t *memory.Transport, ctx context.Context, to transport.Address, m *transport.Message) error {
			if s, err := t.Inspect(ctx, to); err == nil && s.Exists && s.Listeners == 0 {
				return nil
			}
			return t.Send(ctx, to, m)
		}}
	}},
	{"never expires", "Expires", func(*shared) broken {
		return rewrite(func(_ *transport.Address, m *transport.Message) { m.Expires = 0 })
	}},
	{"sends whatever the context says", "SendHonoursContext", func(*shared) broken {
		return broken{send: func(t *memory.Transport, ctx context.Context, to transport.Address, m *transport.Message) error {
			return t.Send(context.WithoutCancel(ctx), to, m)
		}}
	}},
	{"listens whatever the context says", "ListenHonoursContext", func(*shared) broken {
		return broken{listen: func(t *memory.Transport, ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
			return t.Listen(context.WithoutCancel(ctx), from, o)
		}}
	}},
	{"waits whatever the context says", "NextHonoursContext NextTakesNothingAfterItsContext", func(*shared) broken {
		return broken{next: func(l *listener, ctx context.Context) (*transport.Delivery, error) {
			return l.Listener.Next(context.WithoutCancel(ctx))
		}}
	}},
	{"loses what comes with the deadline", "NextGivenUpLosesNothing", func(*shared) broken {
		return broken{next: func(l *listener, ctx context.Context) (*transport.Delivery, error) {
			d, err := l.Listener.Next(ctx)
			if l.count++; err == nil && l.count%7 == 0 {
				return nil, errors.Join(context.DeadlineExceeded, d.Ack(ctx))
			}
			return d, err
		}}
	}},
	{"closes a listener in name only", "ListenerCloseEndsNext", func(*shared) broken {
		return broken{stop: func(*listener, context.Context) error { return nil }}
	}},
	{"closes in name only", "TransportCloseEndsNext ClosedTransport", func(*shared) broken {
		return broken{close: func(*memory.Transport, context.Context) error { return nil }}
	}},
	{"claims to have sent when closed", "CloseAmidSends", func(s *shared) broken {
		return forgive(func(_ transport.Address, _ *transport.Message, err error) bool {
			return errors.Is(err, transport.ErrClosed) && s.turn() < 10
		})
	}},
	{"sees nothing", "Inspect", func(*shared) broken {
		return broken{inspect: func(transport.AddressState, error) (transport.AddressState, error) {
			return transport.AddressState{}, nil
		}}
	}},
	{"claims to see, but does not", "Inspect", func(*shared) broken {
		return broken{inspect: func(transport.AddressState, error) (transport.AddressState, error) {
			return transport.AddressState{}, errors.ErrUnsupported
		}}
	}},
	{"claims to lose calls", "RedeliveryAsClaimed", func(*shared) broken {
		return broken{redelivery: func(r transport.Redelivery) transport.Redelivery { r.Calls = false; return r }}
	}},
	{"has a limit without a name", "RedeliveryAsClaimed", func(*shared) broken {
		return broken{redelivery: func(r transport.Redelivery) transport.Redelivery { r.Within = time.Minute; return r }}
	}},
	{"names nothing", "Topics", func(*shared) broken {
		return broken{topics: func([]string) []string { return nil }}
	}},
	{"does not tell case", "OddNames", func(*shared) broken {
		return rename(func(a *transport.Address) { a.Topic = strings.ToLower(a.Topic) })
	}},
	{"joins names by dots", "LiteralNames", func(*shared) broken {
		return rename(func(a *transport.Address) {
			if a.Kind == transport.Topic && a.Server != "" {
				a.Topic, a.Server, _ = strings.Cut(a.Topic+"."+a.Server, ".")
			}
		})
	}},
}

// A lateListener subscribes when it is first asked.
type lateListener struct {
	transport *memory.Transport
	from      transport.Address
	options   transport.ListenOptions
	listener  transport.Listener
}

func (l *lateListener) Addr() string { return l.from.String() }

func (l *lateListener) Next(ctx context.Context) (*transport.Delivery, error) {
	if l.listener == nil {
		var err error
		if l.listener, err = l.transport.Listen(ctx, l.from, l.options); err != nil {
			return nil, err
		}
	}
	return l.listener.Next(ctx)
}

func (l *lateListener) Close(context.Context) error { return nil }

// A hog takes all that it can get, and does not give it back.
type hog struct {
	transport.Listener
	taken chan *transport.Delivery
	done  chan struct{}
}

func newHog(l transport.Listener) *hog {
	h := &hog{Listener: l, taken: make(chan *transport.Delivery, 1000), done: make(chan struct{})}
	go func() { // ends with the listener
		defer close(h.done)
		for {
			d, err := l.Next(context.Background())
			if err != nil {
				return
			}
			h.taken <- d
		}
	}()
	return h
}

func (h *hog) Next(ctx context.Context) (*transport.Delivery, error) {
	select {
	case d := <-h.taken:
		return d, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-h.done:
		return nil, transport.ErrClosed
	}
}

func brokenConfig(make func(s *shared) broken) transporttest.Config {
	bus, s := memory.NewBus(), &shared{messages: map[string]*transport.Message{}}
	return transporttest.Config{Open: func(testing.TB) transport.Transport {
		b := make(s)
		b.Transport = bus.Open(memory.Config{})
		return &b
	}}
}
