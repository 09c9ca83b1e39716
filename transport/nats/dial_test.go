package nats_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/nats"
)

// hostile answers each connection on a port of its own with what serve does, which owns the connection for that time. The connections end
// with the test.
func hostile(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serve(conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return listener.Addr().String()
}

// Whatever is said before encryption, the credentials are not told without it, and nothing of it counts as said by the server.
func TestCredentialsAreNotToldWithoutTLS(t *testing.T) {
	t.Parallel()
	for _, greeting := range []string{
		`INFO {"tls_required":true,"max_payload":1048576}` + "\r\n-ERR 'maximum connections exceeded'\r\n",
		`INFO {"tls_required":true,"max_payload":1048576}` + "\r\nPONG\r\n",
		"\tINFO {\"tls_required\":true}\r\n",
		"INFO {}\r\n",
	} {
		told := make(chan []byte, 1)
		address := hostile(t, func(conn net.Conn) {
			_, _ = io.WriteString(conn, greeting)
			_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			heard := make([]byte, 4096)
			n, _ := conn.Read(heard)
			told <- heard[:n]
		})
		bus, err := nats.Open(t.Context(), nats.Config{
			Servers: []string{address},
			Auth:    nats.Auth{User: "nova", Password: "secret"},
			TLS:     &tls.Config{MinVersion: tls.VersionTLS12},
		})
		if err == nil {
			_ = bus.Close(t.Context())
			t.Fatalf("%q: connected", greeting)
		}
		if heard := <-told; bytes.Contains(heard, []byte("secret")) {
			t.Errorf("%q: the server was told %q", greeting, heard)
		}
		if said, ok := strings.CutPrefix(greeting, `INFO {"tls_required":true,"max_payload":1048576}`+"\r\n-ERR '"); ok && !strings.Contains(err.Error(), said[:len("maximum connections exceeded")]) {
			t.Errorf("error %q does not say why", err)
		}
	}
}

// nats.go leaves connections open on which it was not let in again. Who waits for the bus is told that it was not.
func TestRefusedConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 100)
	first := true
	address := hostile(t, func(conn net.Conn) {
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		_, _ = io.WriteString(conn, `INFO {"headers":true,"max_payload":1048576}`+"\r\n")
		lines := bufio.NewScanner(conn)
		for lines.Scan() && lines.Text() != "PING" { // CONNECT goes before
		}
		if first {
			first = false
			_, _ = io.WriteString(conn, "PONG\r\n")
			return
		}
		_, _ = io.WriteString(conn, "-ERR 'Authorization Violation'\r\n")
		for lines.Scan() { // until the client closes
		}
		ended <- lines.Err()
	})
	bus, err := nats.Open(testContext(t), nats.Config{Servers: []string{address}, Auth: nats.Auth{User: "nova", Password: "secret"}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-ended; err != nil {
			t.Errorf("the client has not closed a connection that refused it: %v", err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err = bus.Send(ctx, transport.Address{Kind: transport.Topic, Topic: "compute"}, &transport.Message{Method: "ping"})
	if err == nil || !strings.Contains(err.Error(), `the server refuses user "nova"`) {
		t.Errorf("send: %v, want it to say why there is no connection", err)
	}
	_ = bus.Close(testContext(t)) // there is nobody to say goodbye to
}
