package rabbit

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"
)

// A stuck connection counts the writes that a peer would not read.
type stuck struct {
	net.Conn
	on     atomic.Bool
	writes atomic.Int32
}

func (s *stuck) Write(p []byte) (int, error) {
	if s.on.Load() {
		s.writes.Add(1)
		return 0, os.ErrDeadlineExceeded
	}
	return s.Conn.Write(p)
}

// Where the broker reads nothing any more, closing does not wait until it has read TLS's goodbye. Everybody who sends
// would wait, too.
func TestStuckConnectionIsClosedWithoutGoodbye(t *testing.T) {
	t.Parallel()
	web := httptest.NewTLSServer(nil) // has a certificate
	web.Close()
	here, there := net.Pipe()
	raw := &stuck{Conn: here}
	client, server := tls.Client(raw, &tls.Config{InsecureSkipVerify: true}), tls.Server(there, web.TLS) //nolint:gosec // a test of neither
	shaken := make(chan error, 1)
	go func() { shaken <- server.HandshakeContext(t.Context()) }()
	if err := errors.Join(client.HandshakeContext(t.Context()), <-shaken); err != nil {
		t.Fatal(err)
	}
	s := newSocket(client, 0)
	raw.on.Store(true)
	if _, err := s.Write([]byte("text")); err != nil {
		t.Fatal(err)
	}
	<-s.done
	if err := s.cause(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("it ended with %v", err)
	}
	if n := raw.writes.Load(); n != 1 {
		t.Errorf("%d writes; want that of the text only", n)
	}
	_ = s.Close() // it is closed
}
