package rpc_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
)

// A reply counts as lost when nothing else explains its absence: no request that still waits, no later sign of life, no
// service that is gone.
func TestReplyLost(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		p := c.peer(transport.Address{Kind: transport.Topic, Topic: "compute", Server: "silent"})
		const began, later = -time.Minute, time.Second // before, and into the call
		taken := transport.AddressState{Exists: true, Listeners: 1}
		for why, test := range map[string]struct {
			request transport.AddressState
			rebuilt time.Duration // of the reply queue, counted from the call; 0 = never
			missing bool
			err     error         // of asking about it
			sign    time.Duration // of life, into the call; 0 = none
			phase   rpc.Phase
			says    string
		}{
			"never rebuilt":               {request: taken, phase: rpc.Taken, says: "1 listens"},
			"rebuilt before the call":     {request: taken, rebuilt: began, phase: rpc.Taken, says: "1 listens"},
			"rebuilt meanwhile":           {request: taken, rebuilt: later, phase: rpc.ReplyLost, says: "was lost and made anew"},
			"missing":                     {request: taken, missing: true, phase: rpc.ReplyLost, says: "is gone"},
			"missing, and works":          {request: taken, missing: true, sign: later, phase: rpc.ReplyLost, says: "last sign of life"},
			"a sign before":               {request: taken, rebuilt: 2 * later, sign: later, phase: rpc.ReplyLost, says: "made anew"},
			"a sign after":                {request: taken, rebuilt: later, sign: 2 * later, phase: rpc.Running, says: "slow"},
			"the request waits":           {request: transport.AddressState{Exists: true, Listeners: 1, Waiting: 1}, rebuilt: later, missing: true, phase: rpc.Queued},
			"it runs, and others wait":    {request: transport.AddressState{Exists: true, Listeners: 1, Waiting: 1}, rebuilt: 2 * later, sign: later, phase: rpc.ReplyLost},
			"the server died":             {request: transport.AddressState{Exists: true}, rebuilt: later, phase: rpc.Taken, says: "nobody listens there any more"},
			"the bus cannot tell":         {request: taken, missing: true, err: errors.ErrUnsupported, phase: rpc.Taken},
			"the bus is blocked as well":  {request: transport.AddressState{Exists: true, Listeners: 1, Blocked: "low on disk"}, missing: true, phase: rpc.BusBlocked},
			"the server's queue has gone": {rebuilt: later, missing: true, phase: rpc.Unroutable},
		} {
			start := time.Now()
			client := c.inspectedClient(rpc.ClientConfig{Timeout: 5 * time.Second}, func(_ context.Context, at transport.Address) (transport.AddressState, error) {
				if at.Kind != transport.Reply {
					return test.request, nil
				}
				s := transport.AddressState{Exists: !test.missing}
				if test.rebuilt != 0 {
					s.Rebuilt = start.Add(test.rebuilt)
				}
				return s, test.err
			})
			ended := make(chan error, 1)
			go func() {
				_, err := echo.Call(t.Context(), client, echoArgs{})
				ended <- err
			}()
			d := p.next()
			if test.sign > 0 {
				<-time.After(test.sign + time.Millisecond)
				p.send(transport.Address{Kind: transport.Reply, Topic: d.Message.ReplyTo}, &transport.Message{ID: d.Message.ID})
			}
			var e *rpc.TimeoutError
			if err := <-ended; !errors.As(err, &e) || e.Phase != test.phase || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: %v, want the phase %q and that it says %q", why, err, test.phase, test.says)
			}
		}
	})
}

// A bus that cannot be asked is part of the explanation, whatever it does instead; the deadline holds all the same.
func TestBusThatCannotBeAsked(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		c.peer(transport.Address{Kind: transport.Topic, Topic: "compute", Server: "silent"})
		refused := errors.New("access refused")
		outage := func(o transport.OutageError) func(context.Context) error {
			return func(ctx context.Context) error {
				<-ctx.Done()
				return errors.Join(&o, ctx.Err())
			}
		}
		for why, test := range map[string]struct {
			inspect func(context.Context) error
			phase   rpc.Phase
			says    string
		}{
			"away":             {outage(transport.OutageError{For: 3 * time.Second, Cause: errors.New("connection refused")}), rpc.BusAway, "the broker has been away for 3s: connection refused"},
			"blocked":          {outage(transport.OutageError{For: 3 * time.Second, Blocked: "low on memory"}), rpc.BusBlocked, "blocked by the broker for 3s: low on memory"},
			"slow":             {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, rpc.Delivered, "the bus did not answer when it was asked why"},
			"not for everyone": {func(context.Context) error { return refused }, rpc.Delivered, "access refused"},
		} {
			inspect := func(ctx context.Context, _ transport.Address) (transport.AddressState, error) {
				return transport.AddressState{}, test.inspect(ctx)
			}
			for _, monitor := range []time.Duration{0, 3 * time.Second} {
				client := c.inspectedClient(rpc.ClientConfig{Timeout: 20 * time.Second, Monitor: monitor}, inspect)
				start := time.Now()
				_, err := echo.Call(t.Context(), client, echoArgs{})
				var e *rpc.TimeoutError
				if !errors.As(err, &e) || e.Phase != test.phase || !strings.Contains(err.Error(), test.says) || e.Unattended || e.Monitor != monitor {
					t.Errorf("%s, monitored every %s: %v, want the phase %q and that it says %q", why, monitor, err, test.phase, test.says)
				}
				if took := time.Since(start); monitor == 0 && took != 20*time.Second || monitor > 0 && took > monitor+time.Second {
					t.Errorf("%s, monitored every %s: it took %s", why, monitor, took)
				}
			}
		}
	})
}

// A slow answer of the bus, if it comes before the deadline, is in the error.
func TestSlowAnswerOfTheBus(t *testing.T) {
	inCloud(t, func(c *cloud) {
		c.peer(transport.Address{Kind: transport.Topic, Topic: "compute", Server: "silent"})
		client := c.inspectedClient(rpc.ClientConfig{Timeout: 20 * time.Second}, func(ctx context.Context, _ transport.Address) (transport.AddressState, error) {
			select {
			case <-time.After(400 * time.Millisecond): // twice
				return transport.AddressState{Exists: true, Listeners: 1, Waiting: 7}, nil
			case <-ctx.Done():
				return transport.AddressState{}, ctx.Err()
			}
		})
		_, err := echo.Call(c.t.Context(), client, echoArgs{})
		var e *rpc.TimeoutError
		if !errors.As(err, &e) || e.Phase != rpc.Queued || e.Elapsed != 20*time.Second {
			c.t.Errorf("%v, want the phase queued at the deadline", err)
		}
	})
}

// When many calls run out of time together the bus is asked once about each place, not once for each call; one that is answered
// while it asks for all leaves the others with an answer all the same.
func TestLooksAreShared(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		p := c.peer(transport.Address{Kind: transport.Topic, Topic: "compute", Server: "silent"})
		var asked atomic.Int32
		client := c.inspectedClient(rpc.ClientConfig{Timeout: 20 * time.Second}, func(ctx context.Context, _ transport.Address) (transport.AddressState, error) {
			asked.Add(1)
			select {
			case <-time.After(200 * time.Millisecond):
				return transport.AddressState{Exists: true, Listeners: 1, Waiting: 99}, nil
			case <-ctx.Done():
				return transport.AddressState{}, ctx.Err()
			}
		})
		const n = 50
		for _, answered := range []int{0, n / 2} { // whoever asks is among them, or not
			asked.Store(0)
			ended := make(chan error, n)
			for range n {
				go func() {
					_, err := echo.Call(t.Context(), client, echoArgs{})
					ended <- err
				}()
			}
			var requests []*transport.Message
			for range n {
				d := p.next()
				requests = append(requests, d.Message)
				if err := d.Ack(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			<-time.After(19*time.Second + 100*time.Millisecond) // all look
			for _, m := range requests[:answered] {
				p.send(transport.Address{Kind: transport.Reply, Topic: m.ReplyTo}, &transport.Message{ID: m.ID, Ending: true})
			}
			queued := 0
			for range n {
				err := <-ended
				var e *rpc.TimeoutError
				switch {
				case err == nil:
				case errors.As(err, &e) && e.Phase == rpc.Queued:
					queued++
				default:
					t.Error(err)
				}
			}
			if queued != n-answered {
				t.Errorf("%d calls know that they were queued, want %d", queued, n-answered)
			}
			if answered == 0 && asked.Load() != 2 {
				t.Errorf("the bus was asked %d times, want once for the request's queue and once for the replies'", asked.Load())
			}
		}
	})
}

// A call whose answer comes as its time runs out ends, and is counted, in one way; at no moment has more ended than was begun.
func TestStatsAddUp(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		p := c.peer(transport.Address{Kind: transport.Topic, Topic: "compute", Server: "late"})
		const n, within = 1000, time.Second
		client := c.newClient(rpc.ClientConfig{Timeout: within})
		start := time.Now()
		var answered atomic.Uint64
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				_, err := echo.Call(t.Context(), client, echoArgs{})
				switch {
				case err == nil:
					answered.Add(1)
				case !errors.Is(err, context.DeadlineExceeded):
					t.Error(err)
				}
			})
		}
		for range n {
			d := p.next()
			wg.Go(func() {
				<-time.After(time.Until(start.Add(within)))
				p.send(transport.Address{Kind: transport.Reply, Topic: d.Message.ReplyTo}, &transport.Message{ID: d.Message.ID, Ending: true})
			})
			if err := d.Ack(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		wg.Go(func() {
			<-time.After(within)
			for range n {
				if s := client.Stats(); s.Answered+s.TimedOut+uint64(s.Waiting) > s.Calls {
					t.Errorf("meanwhile: %+v", s)
					return
				}
			}
		})
		wg.Wait()
		synctest.Wait()
		want := rpc.Stats{Calls: n, Answered: answered.Load(), TimedOut: n - answered.Load(), Late: n - answered.Load()}
		if got := client.Stats(); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}

// A client counts its calls; every one ends in one way.
func TestStats(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		c.serve(rpc.ServerConfig{Server: "h1"}, echo.Handle(handleEcho), sleep.Handle(handleSleep))
		p := c.peer(transport.Address{Kind: transport.Topic, Topic: "compute", Server: "late"})
		want := func(what string, want rpc.Stats) {
			t.Helper()
			synctest.Wait()
			if got := c.client.Stats(); got != want {
				t.Errorf("%s: %+v, want %+v", what, got, want)
			}
		}
		want("at first", rpc.Stats{})
		for range 3 {
			if _, err := echo.Call(t.Context(), c.client.To("h1"), echoArgs{}); err != nil {
				t.Fatal(err)
			}
		}
		nosuch := rpc.NewCall[struct{}, any](target, "nosuch")
		if _, err := nosuch.Call(t.Context(), c.client.To("h1"), struct{}{}); err == nil {
			t.Fatal("a method that there is not was answered")
		}
		want("a failure is an answer", rpc.Stats{Calls: 4, Answered: 4})
		if err := note.Cast(t.Context(), c.client.To("h1"), echoArgs{}); err != nil {
			t.Fatal(err)
		}
		if _, err := echo.Call(t.Context(), c.client.To("h9"), echoArgs{}); !errors.Is(err, transport.ErrNoListener) {
			t.Fatal(err)
		}
		want("refused", rpc.Stats{Calls: 5, Answered: 4})

		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		ended := make(chan error, 1)
		go func() {
			_, err := echo.Call(ctx, c.client.To("late"), echoArgs{})
			ended <- err
		}()
		d := p.next()
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		go func() {
			_, err := sleep.Call(t.Context(), c.client.To("h1"), sleepArgs{10})
			ended <- err
		}()
		want("one timed out, one waits", rpc.Stats{Calls: 7, Answered: 4, TimedOut: 1, Waiting: 1})
		for range 2 { // the second is a duplicate
			p.send(transport.Address{Kind: transport.Reply, Topic: d.Message.ReplyTo}, &transport.Message{ID: d.Message.ID, Ending: true})
		}
		want("a late answer", rpc.Stats{Calls: 7, Answered: 4, TimedOut: 1, Late: 1, Waiting: 1})
		if n := strings.Count(c.log.String(), "late reply"); n != 1 {
			t.Errorf("%d late replies in the log", n)
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		want("all ended", rpc.Stats{Calls: 7, Answered: 5, TimedOut: 1, Late: 1})
	})
}
