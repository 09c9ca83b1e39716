//go:build zmq

package zmq

import (
	"testing"
	"time"

	zmq4 "github.com/pebbe/zmq4"

	"github.com/goslo/goslo/internal/brokertest"
)

// A wait ends when a socket has something, when it is woken, before or meanwhile, and when its time has come.
func TestPoller(t *testing.T) {
	t.Parallel()
	context, err := zmq4.NewContext()
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	sockets := [2]*zmq4.Socket{}
	for i := range sockets {
		if sockets[i], err = context.NewSocket(zmq4.PAIR); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, s := range sockets {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := context.Term(); err != nil {
			t.Error(err)
		}
		if err := p.close(); err != nil {
			t.Error(err)
		}
	})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(sockets[0].Bind("inproc://poller"))
	must(sockets[1].Connect("inproc://poller"))
	heard, err := p.add(sockets[0], nil)
	must(err)
	receive := func() (n int) {
		for {
			if _, err := heard.socket.RecvBytes(zmq4.DONTWAIT); err != nil {
				return n
			}
			n++
		}
	}
	send := func() {
		t.Helper()
		if _, err := sockets[1].SendBytes([]byte{1}, 0); err != nil {
			t.Fatal(err)
		}
	}
	receive() // which looks at the connection
	p.now()

	// wait returns whether a socket may have something.
	wait := func(meanwhile func()) bool {
		t.Helper()
		p.by(time.Now().Add(time.Minute))
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			p.wait()
		}()
		meanwhile()
		brokertest.Await(t, "the wait to end", func() bool {
			select {
			case <-ended:
				return true
			default:
				return false
			}
		})
		return p.found > 0
	}
	for range 3 {
		if !wait(send) || receive() != 1 {
			t.Fatal("a message was not found")
		}
		if wait(p.wake) {
			t.Fatal("a wake looks like a message")
		}
	}
	p.by(time.Now().Add(time.Minute))
	p.wake()
	if wait(func() {}) {
		t.Fatal("a wake before the wait looks like a message")
	}
	p.by(time.Now())
	if wait(func() {}) {
		t.Fatal("the end of the time looks like a message")
	}
}
