package transporttest_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

// A breakage is one way to break a promise of the seam, and the cases that must notice.
type breakage struct {
	name  string
	cases string
	make  func(s *shared) broken
}

func allBreakages() []breakage { return slices.Concat(breakages, notifyingBreakages) }

// change is Send of a changed notification.
func change(to func(e *transport.Event)) broken {
	return rewrite(func(_ *transport.Address, m *transport.Message) {
		if m.Event != nil {
			own := *m.Event
			to(&own)
			m.Event = &own
		}
	})
}

var notifyingBreakages = []breakage{
	{"has one queue for all priorities", "NotificationReachesOneListener", func(*shared) broken {
		return rename(func(a *transport.Address) {
			if a.Kind == transport.Notification {
				a.Topic = a.Topic[:strings.LastIndexByte(a.Topic, '.')]
			}
		})
	}},
	{"sends notifications to who is there", "NotificationWaitsForItsListener NotificationPoolsWait", func(*shared) broken {
		return broken{send: func(t *memory.Transport, ctx context.Context, to transport.Address, m *transport.Message) error {
			if s, err := t.Inspect(ctx, to); to.Kind == transport.Notification && err == nil && s.Listeners == 0 {
				return nil
			}
			return t.Send(ctx, to, m)
		}}
	}},
	{"takes all pools for one", "NotificationPools NotificationPoolsWait NotificationRequeueInPool", func(*shared) broken {
		return rename(func(a *transport.Address) { a.Pool = "" })
	}},
	{"keeps temporary pools", "NotificationTemporaryPool", func(*shared) broken {
		return broken{listen: func(t *memory.Transport, ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
			o.Temporary = false
			return t.Listen(ctx, from, o)
		}}
	}},
	{"forgets the publisher", "NotificationSurvives", func(*shared) broken {
		return change(func(e *transport.Event) { e.Publisher = "" })
	}},
	{"knows one format", "NotificationSurvives", func(*shared) broken {
		return change(func(e *transport.Event) { e.Bare = false })
	}},
	{"decodes and encodes a payload", "NotificationSurvives", func(*shared) broken {
		return change(func(e *transport.Event) {
			var v any
			if json.Unmarshal(e.Payload, &v) == nil {
				e.Payload, _ = json.Marshal(v)
			} else {
				e.Payload = nil
			}
		})
	}},
	{"gives all receivers the same event", "NotificationIsTheReceivers", func(s *shared) broken {
		return broken{next: func(l *listener, ctx context.Context) (*transport.Delivery, error) {
			d, err := l.Listener.Next(ctx)
			if err == nil {
				d.Message.Event = s.first(d.Message).Event
			}
			return d, err
		}}
	}},
	{"acknowledges a notification for a requeue", "NotificationRequeue", func(*shared) broken {
		return broken{settler: func(d *transport.Delivery, _ *listener) transport.Settler {
			return settler{ack: d.Ack, requeue: d.Ack}
		}}
	}},
	{"acknowledges notifications by itself", "NotificationSettledLate NotificationPrefetch", func(*shared) broken {
		return broken{settler: func(d *transport.Delivery, _ *listener) transport.Settler {
			err := d.Ack(context.Background())
			return settler{ack: func(context.Context) error { return err }, requeue: d.Requeue}
		}}
	}},
	{"holds few notifications", "NotificationPrefetch", func(*shared) broken {
		return broken{listen: func(t *memory.Transport, ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
			o.Prefetch = min(o.Prefetch, 10)
			return t.Listen(ctx, from, o)
		}}
	}},
	{"swaps notifications", "NotificationInOrder", func(*shared) broken {
		return broken{next: func(l *listener, ctx context.Context) (*transport.Delivery, error) {
			if d := l.kept; d != nil {
				l.kept = nil
				return d, nil
			}
			l.count++
			d, err := l.Listener.Next(ctx)
			if err != nil || l.count != 10 {
				return d, err
			}
			l.kept = d
			return l.Listener.Next(ctx)
		}}
	}},
	{"takes a notification for a request", "NotificationAmiss", func(*shared) broken {
		return forgive(func(_ transport.Address, m *transport.Message, err error) bool {
			return m.Event != nil && errors.Is(err, transport.ErrRejected)
		})
	}},
}
