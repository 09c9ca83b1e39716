package rabbit

import (
	"net"
	"syscall"
	"testing"
	"time"
)

// The pause before reconnecting is at random up to the delay, and the splay really splays.
//
// conforms: RMQ-CONN-12, RMQ-CONN-13
func TestPauseBeforeReconnecting(t *testing.T) {
	t.Parallel()
	spread := func(b backoff) (least, most time.Duration) {
		least = time.Hour
		for range 10_000 {
			d := b.before()
			least, most = min(least, d), max(most, d)
		}
		return least, most
	}
	for _, c := range []backoff{{delay: time.Second}, {delay: time.Second, splay: 10 * time.Second}, {splay: time.Minute}, {}} {
		least, most := spread(c)
		all := c.delay + c.splay
		if least < 0 || most > all || least > all/10 || most < all*9/10 {
			t.Errorf("%+v: pauses from %v to %v", c, least, most)
		}
	}
}

// A host that refuses us waits longer each time, up to rabbit_interval_max + rabbit_retry_interval; one that is not there never
// more than a second, whatever it did before.
//
// conforms: RMQ-CONN-11
func TestPausesBetweenAttempts(t *testing.T) {
	t.Parallel()
	h := newHosts([]endpoint{{addr: "a:1"}}, backoff{first: time.Second, step: 2 * time.Second, most: 31 * time.Second})
	e := h.list[0]
	pause := func(err error) time.Duration {
		h.failed(e, err)
		return time.Until(e.due)
	}
	within := func(what string, got, most time.Duration) {
		t.Helper()
		if got > most || got < most/2-time.Second/4 {
			t.Errorf("%s: a pause of %v, want %v at most and half of it at least", what, got, most)
		}
	}
	no := &refusal{net.ErrClosed}
	for i := range 20 {
		within("refused", pause(no), min(time.Duration(1+2*i)*time.Second, 31*time.Second))
	}
	within("not there", pause(net.ErrClosed), time.Second)
	within("refused again", pause(no), time.Second)
}

// The sockets are set as upstream's: no delay, keepalives, and an end when nothing is acknowledged for the heartbeat's time.
//
// conforms: RMQ-CONN-14
func TestSocketOptions(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			defer c.Close()
			_, _ = c.Read(make([]byte, 1))
		}
	}()
	plain, err := connectTCP(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s := newSocket(plain, 60*time.Second)
	defer s.Close()
	option := func(level, name int) (value int) {
		t.Helper()
		raw, err := plain.(*net.TCPConn).SyscallConn()
		if err == nil {
			err = raw.Control(func(fd uintptr) { value, err = syscall.GetsockoptInt(int(fd), level, name) })
		}
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	for _, c := range []struct {
		name          string
		level, option int
		want          int
	}{
		{"TCP_USER_TIMEOUT", syscall.IPPROTO_TCP, tcpUserTimeout, 60_000},
		{"TCP_NODELAY", syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1},
		{"SO_KEEPALIVE", syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
		{"TCP_KEEPIDLE", syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 60},
		{"TCP_KEEPINTVL", syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 10},
		{"TCP_KEEPCNT", syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 9},
	} {
		if got := option(c.level, c.option); got != c.want {
			t.Errorf("%s is %d, want %d", c.name, got, c.want)
		}
	}
	s.bear(true)
	if got := option(syscall.IPPROTO_TCP, tcpUserTimeout); got != 0 {
		t.Errorf("TCP_USER_TIMEOUT is %d to a broker that blocks us", got)
	}
	s.bear(false)
	if got := option(syscall.IPPROTO_TCP, tcpUserTimeout); got != 60_000 {
		t.Errorf("TCP_USER_TIMEOUT is %d afterwards", got)
	}
}
