package interop_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/interop"
	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
)

// A plaza is a bus where both languages tell and hear.
type plaza struct {
	node   *brokertest.RabbitNode // nil if it is another bus
	vhost  string
	url    string
	python *interop.Python
	bus    transport.Transport
}

func onPlaza(t *testing.T) *plaza {
	t.Helper()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	p := newPlaza(t, node.URLVhost(vhost))
	p.node, p.vhost = node, vhost
	return p
}

// newPlaza is one on the bus of a URL.
func newPlaza(t *testing.T, url string) *plaza {
	t.Helper()
	p := &plaza{url: url}
	var err error
	if p.python, err = interop.Start("notifications.py"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.python.Stop)
	if p.bus, err = goslo.Open(t.Context(), p.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), limit)
		defer cancel()
		if err := p.bus.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return p
}

// told is a notification as a listener of either language got it.
type told struct {
	Priority, Context, Publisher, Event, Payload string
	ID, Timestamp                                string
	Times, Batch                                 int
}

// pythonTells has Python's notifier send one, or several of the same.
func (p *plaza) pythonTells(t *testing.T, driver string, priority notify.Priority, event, payload string, times int) {
	t.Helper()
	p.python.Do(t, "notify", map[string]any{
		"url": p.url, "driver": driver, "topic": "events", "publisher": "shop.python", "priority": string(priority),
		"event": event, "payload": payload, "context": `{"user_id": "ann", "auth_token": "secret"}`, "times": times,
	}, nil)
}

// goTells has our notifier send one.
func (p *plaza) goTells(t *testing.T, driver string, priority notify.Priority, event string, payload any) {
	t.Helper()
	d, err := notify.NewDrivers([]string{driver}, notify.DriverConfig{Bus: p.bus, Messaging: notify.MessagingConfig{Topics: []string{"events"}}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := rpc.NewRequestContext(map[string]string{"user_id": "ann", "auth_token": "secret"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(rpc.WithContext(t.Context(), c), limit)
	defer cancel()
	n := notify.NewNotifier(notify.NotifierConfig{Publisher: "shop.go", Drivers: d})
	if err := n.Notify(ctx, priority, event, payload); err != nil {
		t.Fatal(err)
	}
}

// pythonHears starts a listener of Python's, and returns a function that tells what it has heard.
func (p *plaza) pythonHears(t *testing.T, name string, settings map[string]any) func() []told {
	t.Helper()
	order := map[string]any{"url": p.url, "name": name, "topic": "events", "priorities": notify.Priorities()}
	for k, v := range settings {
		order[k] = v
	}
	p.python.Do(t, "listen", order, nil)
	return func() []told {
		var all []told
		p.python.Do(t, "heard", map[string]any{"name": name}, &all)
		return all
	}
}

// goHears starts a listener of ours that ends with the test, and returns a function that tells what it has heard.
func (p *plaza) goHears(t *testing.T, c notify.ListenerConfig, change func(h notify.Handler) notify.Handler, fails int) func() []told {
	t.Helper()
	var mu sync.Mutex
	var all []told
	seen := map[string]int{}
	handle := func(_ context.Context, n notify.Raw) error {
		mu.Lock()
		defer mu.Unlock()
		seen[n.ID]++
		if seen[n.ID] <= fails {
			return errors.New("not yet")
		}
		all = append(all, told{
			Priority: string(n.Priority), Context: string(n.Context.JSON()), Publisher: n.Publisher, Event: n.Type, Payload: string(n.Payload),
			ID: n.ID, Timestamp: n.Timestamp, Times: seen[n.ID],
		})
		return nil
	}
	h := notify.Handle(handle)
	if c.Batch.Size > 0 {
		h = notify.HandleBatch(func(_ context.Context, list []notify.Raw) error {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, told{Priority: string(list[0].Priority), Batch: len(list)})
			return nil
		})
	}
	c.Targets, c.Backoff = []notify.Target{{Topic: "events"}}, 10*time.Millisecond
	l := notify.NewListener(p.bus, c, change(h))
	if err := l.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return func() []told {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

func unchanged(h notify.Handler) notify.Handler { return h }

// awaitTold waits until so many were heard, and returns them in the order of their priorities.
func awaitTold(t *testing.T, heard func() []told, n int) []told {
	t.Helper()
	var all []told
	brokertest.Await(t, fmt.Sprintf("%d notifications", n), func() bool {
		all = heard()
		return len(all) >= n
	})
	slices.SortFunc(all, func(a, b told) int {
		return slices.Index(notify.Priorities(), notify.Priority(a.Priority)) - slices.Index(notify.Priorities(), notify.Priority(b.Priority))
	})
	return all
}

// Either language's notifier, in either format and any priority, is heard the same by either language's listeners, of which one has no
// pool, each gets every one, and one of which gives each back first. Queues fill before anybody listens.
//
// conforms: NOTIFY-01, NOTIFY-02, NOTIFY-03, NOTIFY-04, NDRV-01, NLIS-03, NLIS-07, NLIS-09, NPOOL-01, NPOOL-02, NPOOL-03, CTX-08, RMQ-TOPO-08
func TestNotificationsBetweenLanguages(t *testing.T) {
	t.Parallel()
	for _, driver := range []string{"messaging", "messagingv2"} {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			p := onPlaza(t)
			pools := map[string]func() []told{
				"Python's pool":         p.pythonHears(t, "pool", map[string]any{"pool": "pool_python", "requeue": 1}),
				"Go's pool":             p.goHears(t, notify.ListenerConfig{Pool: "pool_go"}, unchanged, 1),
				"Go's pool, created":    p.goHears(t, notify.ListenerConfig{Pool: "pool_filtered"}, func(h notify.Handler) notify.Handler { return h.Where(notify.Filter{Type: `item\.created`}) }, 0),
				"Python's pool, create": p.pythonHears(t, "filtered", map[string]any{"pool": "pool_filtered_python", "event": `item\.created`}),
			}
			for _, priority := range notify.Priorities() {
				p.pythonTells(t, driver, priority, "item.sold", `{"é": [1, null, "😀"]}`, 1)
				p.goTells(t, driver, priority, "item.sold", map[string]any{"é": []any{1, nil, "😀"}})
			}
			p.pythonTells(t, driver, notify.Info, "item.created", `"last"`, 1)
			for name, heard := range pools {
				want, times := 15, 2
				if name != "Python's pool" && name != "Go's pool" {
					want, times = 1, 1
				}
				check(t, name, awaitTold(t, heard, want), want, times)
			}
			// Those without a pool come last, and find everything.
			if driver == "messaging" {
				check(t, "Python", awaitTold(t, p.pythonHears(t, "late", nil), 15), 15, 1)
			} else {
				check(t, "Go", awaitTold(t, p.goHears(t, notify.ListenerConfig{}, unchanged, 0), 15), 15, 1)
			}
			for _, q := range p.node.ListQueues(t, p.vhost) {
				brokertest.Await(t, q.Name+" to be empty", func() bool {
					now, ok := p.node.FindQueue(t, p.vhost, q.Name)
					return ok && now.Messages == 0
				})
			}
		})
	}
}

func check(t *testing.T, name string, all []told, n, times int) {
	t.Helper()
	if len(all) != n {
		t.Errorf("%s: heard %d, want %d", name, len(all), n)
	}
	by := map[string]int{}
	for _, one := range all {
		by[one.Priority]++
		if one.Event == "item.created" {
			if one.Payload != `"last"` {
				t.Errorf("%s: %+v", name, one)
			}
			continue
		}
		var payload, context map[string]any
		if err := errors.Join(json.Unmarshal([]byte(one.Payload), &payload), json.Unmarshal([]byte(one.Context), &context)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		delete(context, "client_timeout") // Python's own
		if !cmp.Equal(payload, map[string]any{"é": []any{1.0, nil, "😀"}}) || !cmp.Equal(context, map[string]any{"user_id": "ann"}) {
			t.Errorf("%s: payload %s, context %s", name, one.Payload, one.Context)
		}
		if one.Publisher != "shop.python" && one.Publisher != "shop.go" || len(one.ID) != 36 || len(one.Timestamp) < 19 || one.Times != times {
			t.Errorf("%s: %+v, want it on attempt %d", name, one, times)
		}
	}
	for _, p := range notify.Priorities() {
		if n > 1 && by[string(p)] < 2 {
			t.Errorf("%s: %d of priority %s, want one of each language", name, by[string(p)], p)
		}
	}
}

// Batches of either language's listener come from either language's notifier.
//
// conforms: NBAT-01, NBAT-02
func TestNotificationBatchesBetweenLanguages(t *testing.T) {
	t.Parallel()
	p := onPlaza(t)
	python := p.pythonHears(t, "batches", map[string]any{"pool": "python", "batch": 5, "priorities": []string{"info"}})
	ours := p.goHears(t, notify.ListenerConfig{Pool: "go", Batch: notify.Batch{Size: 5, Timeout: 2 * time.Second}},
		func(h notify.Handler) notify.Handler { return h.On(notify.Info) }, 0)
	p.pythonTells(t, "messagingv2", notify.Info, "x", "1", 6)
	for range 6 {
		p.goTells(t, "messagingv2", notify.Info, "x", 1)
	}
	for name, heard := range map[string]func() []told{"Python": python, "Go": ours} {
		sum := func() (n int) {
			for _, b := range heard() {
				n += b.Batch
			}
			return n
		}
		brokertest.Await(t, name+" to have all", func() bool { return sum() >= 12 })
		if n := sum(); n != 12 || len(heard()) > 6 {
			t.Errorf("%s: %d in %d batches: %v", name, n, len(heard()), heard())
		}
	}
}
