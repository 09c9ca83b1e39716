//go:build zmq

package zmq_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	zmq4 "github.com/pebbe/zmq4"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/transporttest"
	"github.com/goslo/goslo/wire"
)

// request is about what a call in a cloud carries: a 200-byte argument and ten keys of context.
func request() *transport.Message {
	context := map[string]string{}
	for i := range 10 {
		context["key"+strconv.Itoa(i)] = "value of a usual length " + strconv.Itoa(i)
	}
	text, _ := json.Marshal(context)
	return &transport.Message{Method: "echo", Version: "1.0", Args: json.RawMessage(`{"arg":"` + strings.Repeat("x", 200) + `"}`), Context: text}
}

// concurrently spreads b.N operations over some goroutines.
func concurrently(b *testing.B, n int, do func() error) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	for range n {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := do(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

// BenchmarkCall is a request and its reply; bare is pebbe/zmq4 alone with the same bytes over the same kind of socket, from a DEALER
// that one goroutine owns to a ROUTER, without reading them.
func BenchmarkCall(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run("callers="+strconv.Itoa(callers)+"/bare", func(b *testing.B) { bareCalls(b, callers) })
		b.Run("callers="+strconv.Itoa(callers)+"/goslo", func(b *testing.B) { calls(b, callers) })
	}
}

// BenchmarkTransport is what all transports are compared by.
func BenchmarkTransport(b *testing.B) {
	url := busURL(b)
	transporttest.Benchmark(b, transporttest.Config{Open: func(t testing.TB) transport.Transport { return open(t, url) }})
}

func calls(b *testing.B, callers int) {
	url := busURL(b)
	client, bus := open(b, url), open(b, url)
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	server, err := bus.Listen(ctx, transport.Address{Kind: transport.Topic, Topic: "compute", Server: "h1"}, transport.ListenOptions{Prefetch: 2 * callers})
	if err != nil {
		b.Fatal(err)
	}
	replies, err := client.Listen(ctx, transport.Address{Kind: transport.Reply}, transport.ListenOptions{})
	if err != nil {
		b.Fatal(err)
	}
	wg.Go(func() {
		for {
			d, err := server.Next(ctx)
			if err != nil {
				return
			}
			_ = d.Ack(ctx)
			_ = bus.Send(ctx, transport.Address{Kind: transport.Reply, Topic: d.Message.ReplyTo}, &transport.Message{Result: d.Message.Args, Ending: true, ID: d.Message.ID})
		}
	})
	var mu sync.Mutex
	pending := map[string]chan struct{}{}
	wg.Go(func() {
		for {
			d, err := replies.Next(ctx)
			if err != nil {
				return
			}
			_ = d.Ack(ctx)
			mu.Lock()
			done := pending[d.Message.ID]
			delete(pending, d.Message.ID)
			mu.Unlock()
			close(done)
		}
	})
	shared := *request()
	concurrently(b, callers, func() error {
		m := shared
		m.ID, m.ReplyTo = wire.NewID(), replies.Addr()
		done := make(chan struct{})
		mu.Lock()
		pending[m.ID] = done
		mu.Unlock()
		if err := client.Send(ctx, transport.Address{Kind: transport.Topic, Topic: "compute", Server: "h1"}, &m); err != nil {
			return err
		}
		<-done
		return nil
	})
}

// bareCalls has a goroutine for each end, which alone touches its socket; callers hand it what they send and wake it by a PAIR.
func bareCalls(b *testing.B, callers int) {
	var contexts [2]*zmq4.Context // of the client and of the server, as they are two processes
	for i := range contexts {
		var err error
		if contexts[i], err = zmq4.NewContext(); err != nil {
			b.Fatal(err)
		}
	}
	socket := func(context *zmq4.Context, kind zmq4.Type, bind, connect string) *zmq4.Socket {
		s, err := context.NewSocket(kind)
		if err == nil {
			err = s.SetLinger(0)
		}
		if err == nil && bind != "" {
			err = s.Bind(bind)
		}
		if err == nil && connect != "" {
			err = s.Connect(connect)
		}
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	endpoint := "ipc://" + b.TempDir() + "/bare"
	client, server := contexts[0], contexts[1]
	router, dealer := socket(server, zmq4.ROUTER, endpoint, ""), socket(client, zmq4.DEALER, "", endpoint)
	asleep, awake := socket(client, zmq4.PAIR, "inproc://bell", ""), socket(client, zmq4.PAIR, "", "inproc://bell")
	stop, stopper := socket(server, zmq4.PAIR, "inproc://stop", ""), socket(server, zmq4.PAIR, "", "inproc://stop")

	m := request()
	m.ID, m.ReplyTo = wire.NewID(), wire.NewID()
	body, err := wire.AppendMessage(nil, m)
	if err != nil {
		b.Fatal(err)
	}
	answer, err := wire.AppendMessage(nil, &transport.Message{Result: m.Args, Ending: true, ID: m.ID})
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { // the server
		p := zmq4.NewPoller()
		p.Add(router, zmq4.POLLIN)
		p.Add(stop, zmq4.POLLIN)
		for {
			ready, err := p.Poll(-1)
			if err != nil {
				b.Error(err)
				return
			}
			for _, r := range ready {
				if r.Socket == stop {
					return
				}
				for {
					id, err := router.RecvBytes(zmq4.DONTWAIT)
					if err != nil {
						break
					}
					number, _ := router.RecvBytes(0)
					_, _ = router.RecvBytes(0)
					_, _ = router.SendBytes(id, zmq4.SNDMORE)
					_, _ = router.SendBytes(number, zmq4.SNDMORE)
					_, _ = router.SendBytes(answer, 0)
				}
			}
		}
	})
	type request struct {
		number [8]byte
		done   chan struct{}
	}
	var mu sync.Mutex
	var waiting []*request
	ended := false
	put := func(r *request) {
		mu.Lock()
		first := len(waiting) == 0
		waiting = append(waiting, r)
		ended = ended || r == nil
		if first {
			_, _ = awake.SendBytes([]byte{1}, 0)
		}
		mu.Unlock()
	}
	wg.Go(func() { // the client's owner
		p := zmq4.NewPoller()
		p.Add(dealer, zmq4.POLLIN)
		p.Add(asleep, zmq4.POLLIN)
		pending := map[[8]byte]*request{}
		n := uint64(0)
		for {
			ready, err := p.Poll(-1)
			if err != nil {
				b.Error(err)
				return
			}
			for _, r := range ready {
				if r.Socket == asleep {
					_, _ = asleep.RecvBytes(0)
					mu.Lock()
					batch, end := waiting, ended
					waiting = nil
					mu.Unlock()
					if end {
						return
					}
					for _, w := range batch {
						n++
						binary.BigEndian.PutUint64(w.number[:], n)
						pending[w.number] = w
						_, _ = dealer.SendBytes(w.number[:], zmq4.SNDMORE)
						_, _ = dealer.SendBytes(body, 0)
					}
					continue
				}
				for {
					number, err := dealer.RecvBytes(zmq4.DONTWAIT)
					if err != nil {
						break
					}
					_, _ = dealer.RecvBytes(0)
					w := pending[[8]byte(number)]
					delete(pending, w.number)
					close(w.done)
				}
			}
		}
	})
	concurrently(b, callers, func() error {
		r := &request{done: make(chan struct{})}
		put(r)
		<-r.done
		return nil
	})
	put(nil)
	_, _ = stopper.SendBytes([]byte{1}, 0)
	wg.Wait()
	for _, s := range []*zmq4.Socket{router, dealer, asleep, awake, stop, stopper} {
		_ = s.Close()
	}
	for _, c := range contexts {
		_ = c.Term()
	}
}
