package rabbit_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
	"github.com/goslo/goslo/wire"
)

// A station listens in all the ways there are, and receives all the time, as a server and a client do. Its peer sends.
type station struct {
	bus     *rabbit.Transport
	log     lines
	server  transport.Listener // stock.one, stock and its fanout
	replies transport.Listener

	mu   sync.Mutex
	sent map[string]bool
	seen map[string]bool
	odd  []*transport.Delivery // that nobody sent
}

func newStation(t *testing.T, url string) *station {
	t.Helper()
	s := &station{sent: map[string]bool{}, seen: map[string]bool{}}
	s.bus = openURL(t, url, rabbit.Config{Logger: s.log.logger()})
	s.server = listen(t, s.bus, server("stock"))
	s.replies = listen(t, s.bus, transport.Address{Kind: transport.Reply})
	for _, l := range []transport.Listener{s.server, s.replies} {
		s.receive(t, l)
	}
	return s
}

// receive takes what comes until the test ends.
func (s *station) receive(t *testing.T, l transport.Listener) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-done
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, d := range s.odd {
			t.Errorf("%s was handed out: %+v", d.To, d.Message)
		}
	})
	go func() {
		defer close(done)
		for {
			d, err := l.Next(ctx)
			if err != nil {
				return
			}
			_ = d.Ack(ctx) // the connection may have broken
			s.mu.Lock()
			if id := d.Message.UniqueID; s.sent[id] {
				s.seen[id] = true
			} else {
				s.odd = append(s.odd, d)
			}
			s.mu.Unlock()
		}
	}()
}

// addresses are all that the station listens at.
func (s *station) addresses() []transport.Address {
	return []transport.Address{server("stock"), topic("stock"), {Kind: transport.Fanout, Topic: "stock"}, s.replyAddress()}
}

func (s *station) replyAddress() transport.Address {
	return transport.Address{Kind: transport.Reply, Topic: s.replies.Addr()}
}

// send sends one message and returns its id.
func (s *station) send(ctx context.Context, peer *rabbit.Transport, to transport.Address) (string, error) {
	m := &transport.Message{UniqueID: wire.NewID()}
	if to.Kind == transport.Reply {
		m.ID, m.Ending = wire.NewID(), true
	} else {
		m.Method = "m"
	}
	s.mu.Lock()
	s.sent[m.UniqueID] = true
	s.mu.Unlock()
	return m.UniqueID, peer.Send(ctx, to, m)
}

func (s *station) has(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[id]
}

// hears returns how long it took until a message from peer had arrived from each address. A peer repeats itself.
func (s *station) hears(t *testing.T, peer *rabbit.Transport, from ...transport.Address) time.Duration {
	t.Helper()
	if len(from) == 0 {
		from = s.addresses()
	}
	start := time.Now()
	for _, to := range from {
		var ids []string
		var last time.Time
		brokertest.Await(t, "a message at "+to.String(), func() bool {
			if time.Since(last) > 200*time.Millisecond {
				last = time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				id, err := s.send(ctx, peer, to)
				if err != nil && !errors.Is(err, transport.ErrNoListener) && ctx.Err() == nil {
					t.Errorf("send to %s: %v", to, err)
				}
				ids = append(ids, id)
			}
			return slices.ContainsFunc(ids, s.has)
		})
	}
	return time.Since(start)
}
