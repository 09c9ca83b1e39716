package brokertest_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
)

// echo returns a proxy to a server that sends back what it gets.
func echo(t *testing.T) *brokertest.Proxy {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		work.Wait()
	})
	return brokertest.NewProxy(t, l.Addr().String())
}

func connect(t *testing.T, p *brokertest.Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp4", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// exchange sends a line and returns the answer.
func exchange(c net.Conn, line string) (string, error) {
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		return "", err
	}
	return bufio.NewReader(c).ReadString('\n')
}

func mustExchange(t *testing.T, c net.Conn) {
	t.Helper()
	if got, err := exchange(c, "hello"); err != nil || got != "hello\n" {
		t.Fatalf("through the proxy: %q, %v", got, err)
	}
}

func TestProxyCutAndRestore(t *testing.T) {
	t.Parallel()
	p := echo(t)
	c := connect(t, p)
	mustExchange(t, c)
	p.Cut()
	if got, err := exchange(c, "hello"); err == nil {
		t.Errorf("cut connection answered %q", got)
	}
	if got, err := exchange(connect(t, p), "hello"); err == nil {
		t.Errorf("new connection during the cut answered %q", got)
	}
	p.Restore()
	mustExchange(t, connect(t, p))
}

func TestProxyReset(t *testing.T) {
	t.Parallel()
	p := echo(t)
	c := connect(t, p)
	mustExchange(t, c)
	p.Reset()
	if _, err := bufio.NewReader(c).ReadString('\n'); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read after a reset: %v, want %v", err, syscall.ECONNRESET)
	}
	mustExchange(t, connect(t, p))
}

func TestProxyHalfOpenStaysOpenAndSilent(t *testing.T) {
	t.Parallel()
	p := echo(t)
	c := connect(t, p)
	mustExchange(t, c)
	p.HalfOpen()
	if _, err := io.WriteString(c, "lost\n"); err != nil {
		t.Fatal(err)
	}
	silent(t, c)
	if got := p.Connections(); got != 1 {
		t.Errorf("%d connections open, want 1", got)
	}
	p.Restore()
	mustExchange(t, connect(t, p))
}

// silent fails the test unless c stays open and says nothing.
func silent(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if _, err := c.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("half-open connection: %v, want silence", err)
	}
}

func TestProxyForgetsConnectionsForGood(t *testing.T) {
	t.Parallel()
	p := echo(t)
	old, hungUp := connect(t, p), connect(t, p)
	mustExchange(t, old)
	mustExchange(t, hungUp)
	p.HalfOpen()
	during := connect(t, p)
	if _, err := io.WriteString(old, "lost\n"); err != nil {
		t.Fatal(err)
	}
	silent(t, old)
	if err := hungUp.Close(); err != nil {
		t.Fatal(err)
	}
	p.Forget()
	mustExchange(t, during) // its first packets were repeated until they came through
	mustExchange(t, connect(t, p))
	if _, err := io.WriteString(old, "lost\n"); err != nil {
		t.Fatal(err)
	}
	silent(t, old)
	if got := p.Connections(); got != 4 {
		t.Errorf("%d connections, want 4: the other side of a forgotten one does not hear that its client hung up", got)
	}
	p.Reset()
	if err := old.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := old.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a forgotten connection, reset: %v, want %v", err, syscall.ECONNRESET)
	}
}

func TestProxySlowsAndDrips(t *testing.T) {
	t.Parallel()
	p := echo(t)
	c := connect(t, p)
	began := time.Now()
	p.SetLatency(50 * time.Millisecond)
	mustExchange(t, c)
	if got := time.Since(began); got < 100*time.Millisecond {
		t.Errorf("there and back took %v, want 100ms or more", got)
	}
	p.Restore()

	p.SetBandwidth(100) // 6 bytes each way
	began = time.Now()
	mustExchange(t, c)
	if got := time.Since(began); got < 120*time.Millisecond {
		t.Errorf("12 bytes at 100 B/s took %v, want 120ms or more", got)
	}
	p.Restore()

	p.Drip(1, 20*time.Millisecond)
	if _, err := io.WriteString(c, "drop\n"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	first, err := c.Read(b)
	if err != nil || first == len(b) {
		t.Errorf("first drop: %q, %v, want less than all", b[:first], err)
	}
	if _, err := io.ReadFull(c, b[first:]); err != nil || string(b) != "drop\n" {
		t.Errorf("dripped: %q, %v", b, err)
	}
	p.Restore()
}

func TestProxyShowsWhatItPasses(t *testing.T) {
	t.Parallel()
	p := echo(t)
	type piece struct {
		connection int
		toBroker   bool
		text       string
	}
	pieces := make(chan piece, 4)
	p.Tap(func(connection int, toBroker bool, b []byte) { pieces <- piece{connection, toBroker, string(b)} })
	for i := range 2 {
		c, err := net.Dial("tcp4", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		for _, toBroker := range []bool{true, false} {
			if got, want := <-pieces, (piece{i + 1, toBroker, "hello"}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		}
	}
}
