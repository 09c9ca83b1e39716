package notify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

type sale struct {
	SKU   int    `json:"sku"`
	Buyer string `json:"buyer,omitempty"`
}

var sold = notify.NewEvent[sale]("item.sold")

// A world is a bus with a notifier, in a bubble of virtual time.
type world struct {
	*testing.T
	bus      *memory.Transport
	notifier *notify.Notifier
	log      *bytes.Buffer
}

func inBubble(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		bus := memory.NewBus().Open(memory.Config{})
		test(t, &world{T: t, bus: bus, log: new(bytes.Buffer), notifier: notify.NewNotifier(notify.NotifierConfig{
			Publisher: "shop.host-1", Drivers: []notify.Driver{notify.NewMessaging(bus, notify.MessagingConfig{})},
		})})
	})
}

// run runs a listener until the function returned is called, which returns Run's error.
func (w *world) run(c notify.ListenerConfig, handlers ...notify.Handler) (stop func() error) {
	w.Helper()
	c.Logger = slog.New(slog.NewTextHandler(w.log, nil))
	l := notify.NewListener(w.bus, c, handlers...)
	if err := l.Listen(w.Context()); err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	return func() error {
		cancel()
		return <-done
	}
}

func (w *world) emit(p notify.Priority, s sale) {
	w.Helper()
	if err := sold.Emit(w.Context(), w.notifier, p, s); err != nil {
		w.Fatal(err)
	}
}

func (w *world) waiting(topic, pool string) int {
	w.Helper()
	s, err := w.bus.Inspect(w.Context(), transport.Address{Kind: transport.Notification, Topic: topic, Pool: pool})
	if err != nil {
		w.Fatal(err)
	}
	return s.Waiting
}

// A list is what handlers have got, in order.
type list[T any] struct {
	mu  sync.Mutex
	all []T
}

func (l *list[T]) add(v T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, v)
}

func (l *list[T]) take() []T {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.all
	l.all = nil
	return all
}

// sleep lets virtual time pass.
func sleep(d time.Duration) { <-time.After(d) }

var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// conforms: NOTIFY-01, NOTIFY-04, NOTIFY-05, NOTIFY-08, NLIS-03, CTX-08, DEB-02
func TestEventTravels(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		var got list[notify.Notification[sale]]
		var user list[string]
		stop := w.run(notify.ListenerConfig{}, sold.Handle(func(ctx context.Context, n notify.Notification[sale]) error {
			got.add(n)
			user.add(string(rpc.ContextFrom(ctx).JSON()))
			return nil
		}))
		asked, err := rpc.NewRequestContext(map[string]any{"user_id": "ann", "auth_token": "secret", "request_id": "req-1", "service_catalog": []int{1}})
		if err != nil {
			t.Fatal(err)
		}
		if err := sold.Emit(rpc.WithContext(t.Context(), asked), w.notifier, notify.Info, sale{7, "bob"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		all := got.take()
		if len(all) != 1 || !uuid.MatchString(all[0].ID) {
			t.Fatalf("got %v, want one notification with a UUID", all)
		}
		n := all[0]
		if n.Type != "item.sold" || n.Publisher != "shop.host-1" || n.Priority != notify.Info || n.Payload != (sale{7, "bob"}) ||
			n.Topic != "notifications.info" || n.Redelivered || !n.Time.Equal(time.Now().Truncate(time.Microsecond)) {
			t.Errorf("got %+v", n)
		}
		if diff := cmp.Diff([]string{`{"request_id":"req-1","user_id":"ann"}`}, user.take()); diff != "" {
			t.Errorf("request context (-want +got):\n%s", diff)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// conforms: NOTIFY-03, NLIS-01, NLIS-02
func TestPriorities(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		var got list[string]
		stop := w.run(notify.ListenerConfig{},
			notify.Handle(func(_ context.Context, n notify.Raw) error { got.add("some " + string(n.Priority)); return nil }).On(notify.Error, notify.Critical),
			sold.Handle(func(_ context.Context, n notify.Notification[sale]) error {
				got.add("one " + string(n.Priority))
				return nil
			}).On(notify.Error))
		for _, p := range notify.Priorities() {
			w.emit(p, sale{})
		}
		synctest.Wait()
		all := got.take()
		slices.Sort(all)
		if diff := cmp.Diff([]string{"one error", "some critical", "some error"}, all); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		for _, p := range notify.Priorities() {
			want := 1
			if p == notify.Error || p == notify.Critical {
				want = 0
			}
			if n := w.waiting("notifications."+string(p), ""); n != want {
				t.Errorf("%d notifications of priority %s wait, want %d", n, p, want)
			}
		}
		if err := w.notifier.Notify(t.Context(), "loud", "x", nil); err == nil || !strings.Contains(err.Error(), `no priority "loud"`) {
			t.Errorf("unknown priority: %v", err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// conforms: NPOOL-02, NPOOL-03, NLIS-12, NLIS-13
func TestPoolsAndTargets(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		var got list[string]
		pool := func(name string) func() error {
			return w.run(notify.ListenerConfig{Pool: name, Targets: []notify.Target{{Topic: "notifications"}, {Exchange: "shop", Topic: "audit"}}},
				notify.Handle(func(context.Context, notify.Raw) error { got.add(name); return nil }).On(notify.Info))
		}
		stops := []func() error{pool("meter"), pool("meter"), pool("bill")}
		w.emit(notify.Info, sale{})
		w.emit(notify.Info, sale{})
		if err := w.bus.Send(t.Context(), transport.Address{Kind: transport.Notification, Exchange: "shop", Topic: "audit.info"},
			&transport.Message{UniqueID: "u", Event: &transport.Event{Priority: "INFO"}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		all := got.take()
		slices.Sort(all)
		if diff := cmp.Diff([]string{"bill", "bill", "bill", "meter", "meter", "meter"}, all); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if n := w.waiting("notifications.info", ""); n != 2 {
			t.Errorf("%d wait for listeners without a pool, want 2", n)
		}
		for _, stop := range stops {
			if err := stop(); err != nil {
				t.Error(err)
			}
		}
	})
}

// What fails goes back to the bus, waits longer each time, and is given up on in the end, by name. Others do not wait for it.
//
// conforms: NLIS-06, NLIS-07, ODD-47
func TestPoisonHasABound(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		var at list[time.Duration]
		var lost list[string]
		start := time.Now()
		stop := w.run(notify.ListenerConfig{MaxAttempts: 4, Workers: 2},
			sold.Handle(func(_ context.Context, n notify.Notification[sale]) error {
				if n.Payload.SKU != 13 {
					return nil
				}
				at.add(time.Since(start))
				if n.Redelivered != (time.Since(start) > 0) {
					lost.add("redelivered is wrong")
				}
				return errors.New("bad luck")
			}))
		w.emit(notify.Info, sale{SKU: 13})
		sleep(time.Hour)
		w.emit(notify.Info, sale{SKU: 1})
		synctest.Wait()
		if diff := cmp.Diff([]time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second}, at.take()); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string(nil), lost.take()); diff != "" {
			t.Error(diff)
		}
		if n := w.waiting("notifications.info", ""); n != 0 {
			t.Errorf("%d wait, want none", n)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		log := w.log.String()
		if !strings.Contains(log, "gave up on a notification") || strings.Count(log, "gave up") != 1 || !strings.Contains(log, "item.sold") ||
			!strings.Contains(log, "shop.host-1") || !strings.Contains(log, "attempts=4") || !strings.Contains(log, "bad luck") {
			t.Errorf("the log does not name what was given up on, once:\n%s", log)
		}
	})
}

func TestGaveUpKeepsWhatItCan(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		var kept list[string]
		full := true
		stop := w.run(notify.ListenerConfig{MaxAttempts: 1, GaveUp: func(_ context.Context, n notify.Raw, err error) error {
			if full {
				full = false
				return errors.New("no room")
			}
			kept.add(fmt.Sprintf("%s %s: %v", n.Type, n.Payload, err))
			return nil
		}}, notify.Handle(func(context.Context, notify.Raw) error { return errors.New("no") }))
		w.emit(notify.Info, sale{SKU: 13})
		sleep(time.Minute)
		if diff := cmp.Diff([]string{`item.sold {"sku":13}: no`}, kept.take()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// conforms: NLIS-05, NFIL-04
func TestFirstErrorStopsTheChain(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		err  error
		want []string
		left int
	}{
		"nil":   {nil, []string{"first", "second"}, 0},
		"drop":  {fmt.Errorf("nothing to do: %w", notify.Drop), []string{"first"}, 0},
		"error": {errors.New("broken"), []string{"first"}, 1},
		"panic": {nil, []string{"first"}, 1},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, w *world) {
				var got list[string]
				stop := w.run(notify.ListenerConfig{},
					notify.NewEvent[sale]("item.lost").Handle(func(context.Context, notify.Notification[sale]) error { got.add("other"); return nil }),
					sold.Handle(func(context.Context, notify.Notification[sale]) error {
						got.add("first")
						if what == "panic" {
							panic("at the disco")
						}
						return c.err
					}),
					notify.Handle(func(context.Context, notify.Raw) error { got.add("second"); return nil }))
				w.emit(notify.Info, sale{})
				synctest.Wait()
				if diff := cmp.Diff(c.want, got.take()); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
				if err := stop(); err != nil { // which gives back what waits for its next attempt
					t.Error(err)
				}
				if n := w.waiting("notifications.info", ""); n != c.left {
					t.Errorf("%d on the bus after the end, want %d", n, c.left)
				}
			})
		})
	}
}

// A payload that does not decode is an error like a handler's.
//
// conforms: NLIS-08
func TestWrongPayload(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		stop := w.run(notify.ListenerConfig{MaxAttempts: 1}, sold.Handle(func(context.Context, notify.Notification[sale]) error { return nil }))
		if err := w.notifier.Notify(t.Context(), notify.Info, "item.sold", []string{"x"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if log := w.log.String(); !strings.Contains(log, "decode the payload into notify_test.sale") {
			t.Errorf("log: %s", log)
		}
	})
}

// conforms: NLIS-04, NBAT-09, DUP-04, DUP-05, ODD-26
func TestOddOnesAreAcknowledged(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1} {
		oddOnes(t, notify.ListenerConfig{Batch: notify.Batch{Size: size}})
	}
}

func oddOnes(t *testing.T, c notify.ListenerConfig) {
	t.Helper()
	inBubble(t, func(t *testing.T, w *world) {
		var got list[string]
		stop := w.run(c, notify.Handle(func(_ context.Context, n notify.Raw) error { got.add(n.Type); return nil }))
		send := func(id, priority, kind string) {
			t.Helper()
			m := &transport.Message{UniqueID: id, Event: &transport.Event{Type: kind, Priority: priority}}
			if err := w.bus.Send(t.Context(), transport.Address{Kind: transport.Notification, Topic: "notifications.info"}, m); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		send("1", "", "nothing")
		send("2", "LOUD", "unknown")
		send("3", "Info", "mixed case")
		send("3", "INFO", "sent twice")
		send("", "INFO", "without an id")
		send("", "INFO", "without an id")
		if diff := cmp.Diff([]string{"mixed case", "without an id", "without an id"}, got.take()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if n := w.waiting("notifications.info", ""); n != 0 {
			t.Errorf("%d are not settled", n)
		}
	})
}

// A listener that is stopped gives back what nobody handles, and waits for what runs.
//
// conforms: NLIS-10, NLIS-14
func TestStopping(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		release := make(chan struct{})
		stop := w.run(notify.ListenerConfig{Workers: 1, Prefetch: 5}, notify.Handle(func(ctx context.Context, _ notify.Raw) error {
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}))
		for range 10 {
			w.emit(notify.Info, sale{})
		}
		synctest.Wait()
		go func() {
			<-time.After(30 * time.Second)
			close(release)
		}()
		start := time.Now()
		if err := stop(); err != nil || time.Since(start) != 30*time.Second {
			t.Errorf("stopped with %v after %v, want nil when the handler had returned", err, time.Since(start))
		}
		if n := w.waiting("notifications.info", ""); n != 9 {
			t.Errorf("%d on the bus, want the 9 that nobody handled", n)
		}
	})
	inBubble(t, func(t *testing.T, w *world) {
		stop := w.run(notify.ListenerConfig{Drain: time.Second}, notify.Handle(func(ctx context.Context, _ notify.Raw) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}))
		w.emit(notify.Info, sale{})
		synctest.Wait()
		if err := stop(); err == nil || !strings.Contains(err.Error(), "cancelled after draining for 1s") {
			t.Errorf("stopped with %v", err)
		}
		if n := w.waiting("notifications.info", ""); n != 1 {
			t.Errorf("%d on the bus, want the one whose handler was cancelled", n)
		}
	})
}

// A listener slower than its publisher holds no more than its prefetch.
func TestSlowListenerLeavesTheRestOnTheBus(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		release := make(chan struct{})
		stop := w.run(notify.ListenerConfig{Workers: 2, Prefetch: 10}, notify.Handle(func(context.Context, notify.Raw) error { <-release; return nil }).On(notify.Info))
		for range 1000 {
			w.emit(notify.Info, sale{})
		}
		synctest.Wait()
		if n := w.waiting("notifications.info", ""); n < 990 {
			t.Errorf("%d wait on the bus, want all but 10", n)
		}
		close(release)
		synctest.Wait()
		if n := w.waiting("notifications.info", ""); n != 0 {
			t.Errorf("%d were not handled", n)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestListenerMistakes(t *testing.T) {
	t.Parallel()
	bus := memory.NewBus().Open(memory.Config{})
	nothing := notify.Handle(func(context.Context, notify.Raw) error { return nil })
	for want, l := range map[string]*notify.Listener{
		"needs a handler":             notify.NewListener(bus, notify.ListenerConfig{}),
		"a target needs a topic":      notify.NewListener(bus, notify.ListenerConfig{Targets: []notify.Target{{Exchange: "e"}}}, nothing), // conforms: TRN-08
		"never comes with a Prefetch": notify.NewListener(bus, notify.ListenerConfig{Batch: notify.Batch{Size: 5}, Prefetch: 4}, nothing),
		"must not be negative":        notify.NewListener(bus, notify.ListenerConfig{Workers: -1}, nothing),
		`no priority "loud"`:          notify.NewListener(bus, notify.ListenerConfig{}, nothing.On("loud")),
		`filter: Payload["state"]:`:   notify.NewListener(bus, notify.ListenerConfig{}, nothing.Where(notify.Filter{Payload: map[string]string{"state": "("}})),
	} {
		if err := l.Run(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("run: %v, want %q", err, want)
		}
	}
	l := notify.NewListener(bus, notify.ListenerConfig{}, nothing)
	if l.Ready() == nil {
		t.Error("ready before it listens")
	}
	if err := l.Listen(t.Context()); err != nil || l.Ready() != nil {
		t.Errorf("listen: %v, ready: %v", err, l.Ready())
	}
	if err := bus.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Run(t.Context()); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("run on a closed bus: %v, want ErrClosed", err)
	}
	if err := l.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "has run already") {
		t.Errorf("second run: %v", err)
	}
}

// A deaf bus takes acknowledgements and loses them.
type deaf struct{ *memory.Transport }

type deafListener struct{ transport.Listener }

type deafSettler struct{ transport.Settler }

func (d deaf) Listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
	l, err := d.Transport.Listen(ctx, from, o)
	return deafListener{l}, err
}

func (l deafListener) Next(ctx context.Context) (*transport.Delivery, error) {
	d, err := l.Listener.Next(ctx)
	if err == nil && !d.Redelivered {
		d.Settler = deafSettler{d.Settler}
	}
	return d, err
}

func (s deafSettler) Ack(ctx context.Context) error {
	return errors.Join(s.Requeue(ctx), errors.New("the connection was lost"))
}

// What cannot be acknowledged comes again, is known, and is not handled twice.
//
// conforms: RMQ-CONS-06
func TestLostAcknowledgement(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		handled := 0
		ctx, cancel := context.WithCancel(t.Context())
		l := notify.NewListener(deaf{w.bus}, notify.ListenerConfig{Logger: slog.New(slog.NewTextHandler(w.log, nil))},
			notify.Handle(func(context.Context, notify.Raw) error { handled++; return nil }))
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		w.emit(notify.Info, sale{})
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if log := w.log.String(); handled != 1 || !strings.Contains(log, "the connection was lost") || !strings.Contains(log, "came again") {
			t.Errorf("handled %d times; log: %s", handled, log)
		}
	})
}
