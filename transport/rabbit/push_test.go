package rabbit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// pushed is a socket on a connection of the loopback interface, and the other end of that.
func pushed(t *testing.T) (*socket, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	here, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	there, err := l.Accept()
	if err = errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
	s := newSocket(here, 0)
	t.Cleanup(func() { _ = errors.Join(there.Close(), s.Close()) }) // one has broken the other
	if err := there.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return s, there
}

// give is what channels do.
func (s *socket) give(text []byte) error {
	return s.extend(func(pending []byte) []byte { return append(pending, text...) })
}

// A sender who is alone has written when push returns: the goroutine has nothing left to do.
func TestPushWritesAtOnce(t *testing.T) {
	t.Parallel()
	s, there := pushed(t)
	if err := s.give([]byte("text")); err != nil {
		t.Fatal(err)
	}
	s.push()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.flushed(ended, 1); err != nil {
		t.Errorf("it has to be waited for: %v", err)
	}
	got := make([]byte, 4)
	if _, err := io.ReadFull(there, got); err != nil || string(got) != "text" {
		t.Errorf("read %q, %v", got, err)
	}
}

// What the kernel does not take is no sender's business: push returns, the rest follows when the peer reads, and only then is
// the round over.
func TestPushDoesNotWaitForThePeer(t *testing.T) {
	t.Parallel()
	s, there := pushed(t)
	text := bytes.Repeat([]byte("0123456789abcdef"), 2<<20) // more than the kernel has room for
	if err := s.give(text); err != nil {
		t.Fatal(err)
	}
	round := s.atFlush(func() {})
	s.push()
	while, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.flushed(while, round); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("flushed returned %v although nobody has read", err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(there, got); err != nil || !bytes.Equal(got, text) {
		t.Fatalf("what was read is something else: %v", err)
	}
	if err := s.flushed(t.Context(), round); err != nil {
		t.Error(err)
	}
}

// A deadline of an earlier round, long past, is not the end of the connection.
func TestPushAfterAnOldDeadline(t *testing.T) {
	t.Parallel()
	s, there := pushed(t)
	if err := errors.Join(s.SetWriteDeadline(time.Unix(1, 0)), s.give([]byte("text"))); err != nil {
		t.Fatal(err)
	}
	s.push()
	got := make([]byte, 4)
	if _, err := io.ReadFull(there, got); err != nil || string(got) != "text" {
		t.Errorf("read %q, %v", got, err)
	}
}

// Whoever writes, everything leaves, in the order in which it was taken.
func TestPushKeepsTheOrder(t *testing.T) {
	t.Parallel()
	s, there := pushed(t)
	const senders, each = 8, 2000
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for n := range each {
				frame := []byte{byte(i), byte(n >> 8), byte(n)}
				var err error
				if i == 0 { // as the library does
					_, err = s.Write(frame)
				} else if err = s.give(frame); err == nil {
					s.push()
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	next := make([]int, senders)
	frame := make([]byte, 3)
	for range senders * each {
		if _, err := io.ReadFull(there, frame); err != nil {
			t.Fatal(err)
		}
		i, n := frame[0], int(frame[1])<<8|int(frame[2])
		if n != next[i] {
			t.Fatalf("frame %d of sender %d came, want %d", n, i, next[i])
		}
		next[i]++
	}
	wg.Wait()
}
