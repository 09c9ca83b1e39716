//go:build zmq

package compare_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	zmq4 "github.com/pebbe/zmq4"

	"github.com/goslo/goslo/internal/freeport"
	"github.com/goslo/goslo/internal/workload"
)

// startZMQ has Goslo over ZeroMQ, a bare DEALER and ROUTER of pebbe/zmq4 that echo the same bytes without any guarantee, from many
// callers through the one goroutine that owns the DEALER, and gRPC, which needs no broker either.
func startZMQ(t *testing.T, m *machine) []contest {
	t.Helper()
	major, minor, patch := zmq4.Version()
	m.module("grpc-go", "google.golang.org/grpc")
	m.module("pebbe/zmq4", "github.com/pebbe/zmq4")
	m.note("libzmq", fmt.Sprintf("%d.%d.%d", major, minor, patch))
	port := freeport.One(t)
	others := fmt.Sprintf("zmq://127.0.0.1:%d/?rpc_zmq_bind_address=127.0.0.1&rpc_zmq_ipc_dir=%s", port, t.TempDir())
	server := fmt.Sprintf("%s&rpc_zmq_min_port=%d&rpc_zmq_max_port=%d", others, port, port+1)
	local := "zmq:///?rpc_zmq_ipc_dir=" + t.TempDir()
	return []contest{
		{work: "call over TCP", callers: allCallers(), contenders: []contender{
			inProcess("goslo", workload.NewPairAt(t, server, others).Call),
			inProcess("bare", newBareZMQ(t, "tcp").call),
			inProcess("grpc", newGRPC(t).call),
		}},
		{work: "call over ipc", callers: allCallers(), contenders: []contender{
			inProcess("goslo", workload.NewPair(t, local).Call),
			inProcess("bare", newBareZMQ(t, "ipc").call),
		}},
	}
}

// A bareZMQ does what a call does with pebbe/zmq4 alone. Callers append to a slice, and wake the goroutine that owns the DEALER
// only when the slice was empty.
type bareZMQ struct {
	request, reply []byte

	mu      sync.Mutex
	waiting [][]byte
	pending map[uint64]chan []byte // replies
	next    uint64
	ended   bool
	bell    *zmq4.Socket
}

func newBareZMQ(tb testing.TB, network string) *bareZMQ {
	tb.Helper()
	e := &bareZMQ{pending: map[uint64]chan []byte{}}
	e.request, e.reply = envelopes(tb)
	z := must(zmq4.NewContext())(tb)
	socket := func(kind zmq4.Type) *zmq4.Socket {
		s := must(z.NewSocket(kind))(tb)
		if err := s.SetLinger(0); err != nil {
			tb.Fatal(err)
		}
		return s
	}
	router, dealer, bell := socket(zmq4.ROUTER), socket(zmq4.DEALER), socket(zmq4.PAIR)
	e.bell = socket(zmq4.PAIR)
	address := "tcp://127.0.0.1:*"
	if network == "ipc" {
		address = "ipc://" + filepath.Join(tb.TempDir(), "bare")
	}
	err := errors.Join(router.Bind(address), bell.Bind("inproc://bell"), e.bell.Connect("inproc://bell"))
	if err == nil {
		err = dealer.Connect(must(router.GetLastEndpoint())(tb))
	}
	if err != nil {
		tb.Fatal(err)
	}
	stop := make(chan struct{})
	var loops sync.WaitGroup
	loops.Go(func() { echoZMQ(tb, router, e.reply, stop) })
	loops.Go(func() { e.own(tb, dealer, bell) })
	tb.Cleanup(func() {
		close(stop)
		e.mu.Lock()
		e.ended = true
		_, err := e.bell.Send("", 0)
		e.mu.Unlock()
		loops.Wait()
		if err := errors.Join(err, router.Close(), dealer.Close(), bell.Close(), e.bell.Close(), z.Term()); err != nil {
			tb.Error(err)
		}
	})
	return e
}

// echoZMQ answers each request: eight bytes that say which, and the rest.
func echoZMQ(tb testing.TB, router *zmq4.Socket, reply []byte, stop chan struct{}) {
	tb.Helper()
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
				tb.Error(err)
				return
			}
		}
	}
}

// own is the goroutine that owns the DEALER.
func (e *bareZMQ) own(tb testing.TB, dealer, bell *zmq4.Socket) {
	tb.Helper()
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
				tb.Error(err)
				return
			}
			e.mu.Lock()
			waiting, ended := e.waiting, e.ended
			e.waiting = nil
			e.mu.Unlock()
			for _, request := range waiting {
				if _, err := dealer.SendBytes(request, 0); err != nil {
					tb.Error(err)
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
		waiting <- reply[8:]
	}
}

func (e *bareZMQ) call() error {
	answered := make(chan []byte, 1)
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
	return sameBytes(<-answered, e.reply)
}
