//go:build zmq

package benchmarks_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	zmq4 "github.com/pebbe/zmq4"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/zmq"
	"github.com/goslo/goslo/wire"
)

// BenchmarkCallZMQSideBySide alternates Goslo and a bare DEALER and ROUTER of pebbe/zmq4 that echo the same bytes without any
// guarantee, from many callers through the one goroutine that owns the DEALER. An iteration is a round of both; the figures are
// medians over the rounds. Run it with -benchtime 5x or more.
func BenchmarkCallZMQSideBySide(b *testing.B) {
	for _, network := range []string{"tcp", "ipc"} {
		b.Run(network, func(b *testing.B) {
			goslo := newPair(b, openZMQ(b, network))
			sideBySide(b, nil, inProcess("goslo", goslo.call), inProcess("bare", newBareZMQ(b, network).call))
		})
	}
}

// openZMQ opens a server's transport first, and then others.
func openZMQ(b *testing.B, network string) func(testing.TB) transport.Transport {
	b.Helper()
	server, others := "zmq:///?rpc_zmq_ipc_dir="+b.TempDir(), ""
	if network == "tcp" {
		port := freePort(b)
		others = fmt.Sprintf("zmq://127.0.0.1:%d/?rpc_zmq_bind_address=127.0.0.1&rpc_zmq_ipc_dir=%s", port, b.TempDir())
		server = fmt.Sprintf("%s&rpc_zmq_min_port=%d&rpc_zmq_max_port=%d", others, port, port+1)
	}
	return func(tb testing.TB) transport.Transport {
		tb.Helper()
		bus, err := zmq.Open(tb.Context(), zmq.Config{URL: parse(tb, server)})
		if err != nil {
			tb.Fatal(err)
		}
		if others != "" {
			server = others
		}
		return closing(tb, bus)
	}
}

func freePort(b *testing.B) int {
	b.Helper()
	l := must(net.Listen("tcp", "127.0.0.1:0"))(b)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// A bareZMQ does what a call does with pebbe/zmq4 alone. Callers append to a slice, and wake the goroutine that owns the DEALER
// only when the slice was empty.
type bareZMQ struct {
	request []byte

	mu      sync.Mutex
	waiting [][]byte
	pending map[uint64]chan struct{}
	next    uint64
	ended   bool
	bell    *zmq4.Socket
}

func newBareZMQ(b *testing.B, network string) *bareZMQ {
	b.Helper()
	e := &bareZMQ{pending: map[uint64]chan struct{}{}}
	e.request = must(wire.AppendEnvelope(nil, &transport.Message{
		Method: "echo", Version: "1.0", Args: sampleArgs(b), Context: requestContext(b).JSON(),
		ID: wire.NewID(), ReplyTo: "reply_" + wire.NewID(), UniqueID: wire.NewID(),
	}))(b)
	reply := must(wire.AppendEnvelope(nil, &transport.Message{
		Result: must(json.Marshal(payload.Arg))(b), Ending: true, ID: wire.NewID(), UniqueID: wire.NewID(),
	}))(b)
	z := must(zmq4.NewContext())(b)
	socket := func(kind zmq4.Type) *zmq4.Socket {
		s := must(z.NewSocket(kind))(b)
		if err := s.SetLinger(0); err != nil {
			b.Fatal(err)
		}
		return s
	}
	router, dealer, bell := socket(zmq4.ROUTER), socket(zmq4.DEALER), socket(zmq4.PAIR)
	e.bell = socket(zmq4.PAIR)
	address := "tcp://127.0.0.1:*"
	if network == "ipc" {
		address = "ipc://" + filepath.Join(b.TempDir(), "bare")
	}
	err := errors.Join(router.Bind(address), bell.Bind("inproc://bell"), e.bell.Connect("inproc://bell"))
	if err == nil {
		err = dealer.Connect(must(router.GetLastEndpoint())(b))
	}
	if err != nil {
		b.Fatal(err)
	}
	stop := make(chan struct{})
	var loops sync.WaitGroup
	loops.Go(func() { echoZMQ(b, router, reply, stop) })
	loops.Go(func() { e.own(b, dealer, bell) })
	b.Cleanup(func() {
		close(stop)
		e.mu.Lock()
		e.ended = true
		_, err := e.bell.Send("", 0)
		e.mu.Unlock()
		loops.Wait()
		if err := errors.Join(err, router.Close(), dealer.Close(), bell.Close(), e.bell.Close(), z.Term()); err != nil {
			b.Error(err)
		}
	})
	return e
}

// echoZMQ answers each request: eight bytes that say which, and the rest.
func echoZMQ(b *testing.B, router *zmq4.Socket, reply []byte, stop chan struct{}) {
	b.Helper()
	poller := zmq4.NewPoller()
	poller.Add(router, zmq4.POLLIN)
	var buffer []byte
	for {
		select {
		case <-stop:
			return
		default:
		}
		if ready, err := poller.Poll(100 * time.Millisecond); err != nil || len(ready) == 0 {
			continue
		}
		for {
			from, err := router.RecvBytes(zmq4.DONTWAIT)
			if err != nil {
				break
			}
			request, err := router.RecvBytes(0)
			if err == nil {
				_, err = router.SendBytes(from, zmq4.SNDMORE)
			}
			if err == nil {
				buffer = append(append(buffer[:0], request[:8]...), reply...)
				_, err = router.SendBytes(buffer, 0)
			}
			if err != nil {
				b.Error(err)
				return
			}
		}
	}
}

// own is the goroutine that owns the DEALER.
func (e *bareZMQ) own(b *testing.B, dealer, bell *zmq4.Socket) {
	b.Helper()
	poller := zmq4.NewPoller()
	poller.Add(dealer, zmq4.POLLIN)
	poller.Add(bell, zmq4.POLLIN)
	for {
		ready, err := poller.Poll(-1)
		if err != nil {
			continue // a signal
		}
		for _, p := range ready {
			if p.Socket == dealer {
				e.answered(dealer)
				continue
			}
			if _, err := bell.RecvBytes(0); err != nil {
				b.Error(err)
				return
			}
			e.mu.Lock()
			waiting, ended := e.waiting, e.ended
			e.waiting = nil
			e.mu.Unlock()
			for _, request := range waiting {
				if _, err := dealer.SendBytes(request, 0); err != nil {
					b.Error(err)
				}
			}
			if ended {
				return
			}
		}
	}
}

func (e *bareZMQ) answered(dealer *zmq4.Socket) {
	for {
		reply, err := dealer.RecvBytes(zmq4.DONTWAIT)
		if err != nil {
			return
		}
		id := binary.BigEndian.Uint64(reply)
		e.mu.Lock()
		waiting := e.pending[id]
		delete(e.pending, id)
		e.mu.Unlock()
		waiting <- struct{}{}
	}
}

func (e *bareZMQ) call() error {
	answered := make(chan struct{}, 1)
	e.mu.Lock()
	e.next++
	e.pending[e.next] = answered
	e.waiting = append(e.waiting, append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(e.request)), e.next), e.request...))
	var err error
	if len(e.waiting) == 1 {
		_, err = e.bell.Send("", zmq4.DONTWAIT)
	}
	e.mu.Unlock()
	if err != nil {
		return err
	}
	<-answered
	return nil
}
