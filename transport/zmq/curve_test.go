//go:build zmq

package zmq

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	zmq4 "github.com/pebbe/zmq4"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/zmq/curve"
)

// A keyFolder has pairs, each with the files that goslo zmq keys makes.
type keyFolder struct{ path string }

func newKeyFolder(t testing.TB, names ...string) keyFolder {
	t.Helper()
	f := keyFolder{t.TempDir()}
	for _, name := range names {
		f.add(t, name)
	}
	return f
}

func (f keyFolder) add(t testing.TB, name string) {
	t.Helper()
	pair, err := curve.NewPair()
	if err == nil {
		err = curve.FilesOf(f.path, name).Write(pair, name)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (f keyFolder) secret(name string) string { return curve.FilesOf(f.path, name).Secret }
func (f keyFolder) public(name string) string { return curve.FilesOf(f.path, name).Public }

// load reads the keys of one side.
func (f keyFolder) load(t testing.TB, o curveOptions, log *slog.Logger) security {
	t.Helper()
	s, err := o.load(log)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A greeting is a connection from a DEALER to a ROUTER, and the events of its handshake.
type greeting struct {
	context *zmq4.Context
	address string
}

// serveGreetings binds a ROUTER that sends back what it gets.
func serveGreetings(t testing.TB, s security) greeting {
	t.Helper()
	z, err := zmq4.NewContext()
	if err != nil {
		t.Fatal(err)
	}
	stop, err := s.start(z)
	if err != nil {
		t.Fatal(err)
	}
	router, err := z.NewSocket(zmq4.ROUTER)
	if err == nil {
		err = errors.Join(router.SetLinger(0), s.server(router), router.Bind("tcp://127.0.0.1:*"))
	}
	if err != nil {
		t.Fatal(err)
	}
	address, err := router.GetLastEndpoint()
	if err != nil {
		t.Fatal(err)
	}
	end := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		for {
			select {
			case <-end:
				ended <- router.Close()
				return
			default:
			}
			p := zmq4.NewPoller()
			p.Add(router, zmq4.POLLIN)
			if ready, _ := p.Poll(20 * time.Millisecond); len(ready) > 0 {
				if m, err := router.RecvMessageBytes(0); err == nil {
					_, _ = router.SendMessage(m)
				}
			}
		}
	}()
	t.Cleanup(func() {
		close(end)
		if err := errors.Join(<-ended, stop(), z.Term()); err != nil {
			t.Errorf("end the server: %v", err)
		}
	})
	return greeting{z, address}
}

// greet returns nil when what was sent came back, else the error of the handshake.
func (g greeting) greet(t testing.TB, s security, serverKey string) error {
	t.Helper()
	z, err := zmq4.NewContext()
	if err != nil {
		t.Fatal(err)
	}
	var sockets []*zmq4.Socket
	defer func() {
		for _, s := range sockets {
			_ = s.Close()
		}
		if err := z.Term(); err != nil {
			t.Errorf("end the client: %v", err)
		}
	}()
	socket := func(kind zmq4.Type) *zmq4.Socket {
		s, err := z.NewSocket(kind)
		if err == nil {
			err = errors.Join(s.SetLinger(0), s.SetRcvtimeo(30*time.Second))
		}
		if err != nil {
			t.Fatal(err)
		}
		sockets = append(sockets, s)
		return s
	}
	dealer := socket(zmq4.DEALER)
	if err := s.client(dealer, serverKey); err != nil {
		return err
	}
	if err := dealer.Monitor("inproc://monitor", zmq4.EVENT_HANDSHAKE_SUCCEEDED|zmq4.EVENT_HANDSHAKE_FAILED_AUTH|zmq4.EVENT_HANDSHAKE_FAILED_PROTOCOL|zmq4.EVENT_HANDSHAKE_FAILED_NO_DETAIL); err != nil {
		t.Fatal(err)
	}
	monitor := socket(zmq4.PAIR)
	if err := errors.Join(monitor.Connect("inproc://monitor"), dealer.Connect(g.address)); err != nil {
		t.Fatal(err)
	}
	event, _, value, err := monitor.RecvEvent(0)
	if err != nil {
		t.Fatalf("the handshake ended in nothing: %v", err)
	}
	if event != zmq4.EVENT_HANDSHAKE_SUCCEEDED {
		t.Logf("event %v, value %#x", event, value)
		return fmt.Errorf("%w: %s", transport.ErrRejected, handshakeReason(event, value))
	}
	if _, err := dealer.SendMessage("hello"); err != nil {
		t.Fatal(err)
	}
	if m, err := dealer.RecvMessage(0); err != nil || strings.Join(m, "") != "hello" {
		t.Fatalf("came back: %q, %v", m, err)
	}
	return nil
}

func TestCurveLetsInWhomItKnows(t *testing.T) {
	t.Parallel()
	f := newKeyFolder(t, "server", "client", "stranger", "other")
	var said logs
	clients := f.public("client")
	server := f.load(t, curveOptions{key: f.secret("server"), clients: clients}, said.logger())
	g := serveGreetings(t, server)
	client := func(name, servers string) security {
		return f.load(t, curveOptions{key: f.secret(name), servers: servers}, said.logger())
	}
	if err := g.greet(t, client("client", f.public("server")), server.public()); err != nil {
		t.Errorf("the client that is allowed: %v", err)
	}
	if err := g.greet(t, client("client", f.path), server.public()); err != nil {
		t.Errorf("by the folder of keys: %v", err)
	}
	if err := g.greet(t, client("client", f.public("server")), ""); err != nil {
		t.Errorf("where only one server is known: %v", err)
	}

	stranger := client("stranger", f.public("server"))
	if err := g.greet(t, stranger, server.public()); !errors.Is(err, transport.ErrRejected) || !strings.Contains(err.Error(), "not among its curve_clients") {
		t.Errorf("the client that is not allowed: %v", err)
	}
	if !strings.Contains(said.String(), "a client was refused") || !strings.Contains(said.String(), "key="+slogText(stranger.public())) {
		t.Errorf("the server's log: %s", said.String())
	}
	if err := g.greet(t, open{}, ""); !errors.Is(err, transport.ErrRejected) || !strings.Contains(err.Error(), "curve_key") {
		t.Errorf("a client without keys: %v", err)
	}

	other, err := curve.ReadPair(f.secret("other"))
	if err != nil {
		t.Fatal(err)
	}
	if err := g.greet(t, client("client", f.path), other.Public.String()); !errors.Is(err, transport.ErrRejected) || !strings.Contains(err.Error(), "its key is another") {
		t.Errorf("a server that has another key than the directory says: %v", err)
	}
	if err := g.greet(t, client("client", f.public("other")), server.public()); !errors.Is(err, errUntrusted) || !strings.Contains(err.Error(), f.public("other")) {
		t.Errorf("a server whose key we were not told to trust: %v", err)
	}
	if err := g.greet(t, client("client", f.path), ""); !errors.Is(err, errUntrusted) || !strings.Contains(err.Error(), "any of 4") {
		t.Errorf("where the server's key is not known: %v", err)
	}
	if err := g.greet(t, f.load(t, curveOptions{key: f.secret("client"), clients: f.path}, said.logger()), server.public()); !errors.Is(err, errUntrusted) {
		t.Errorf("where we trust nobody: %v", err)
	}
}

// slogText is how slog's text handler writes a string.
func slogText(s string) string {
	var l logs
	l.logger().Info("x", "key", s)
	_, text, _ := strings.Cut(strings.TrimSpace(l.String()), "key=")
	return text
}

func TestCurvePlainServerRefusesCurve(t *testing.T) {
	t.Parallel()
	f := newKeyFolder(t, "server", "client")
	server, err := curve.ReadPair(f.secret("server"))
	if err != nil {
		t.Fatal(err)
	}
	g := serveGreetings(t, open{})
	client := f.load(t, curveOptions{key: f.secret("client"), servers: f.path}, slog.New(slog.DiscardHandler))
	if err := g.greet(t, client, server.Public.String()); !errors.Is(err, transport.ErrRejected) || !strings.Contains(err.Error(), "curve_key") {
		t.Errorf("%v", err)
	}
}

// A key that is put into the folder, or taken out of it, counts from then on, without a restart.
func TestCurveReadsKeysAgain(t *testing.T) {
	t.Parallel()
	f, allowed := newKeyFolder(t, "server", "client"), newKeyFolder(t, "another")
	server := f.load(t, curveOptions{key: f.secret("server"), clients: allowed.path}, slog.New(slog.DiscardHandler)).(*encryption)
	look := func() {
		server.clients.mu.Lock()
		defer server.clients.mu.Unlock()
		server.clients.looked = time.Time{}
	}
	g := serveGreetings(t, server)
	client := f.load(t, curveOptions{key: f.secret("client"), servers: f.public("server")}, slog.New(slog.DiscardHandler))
	if err := g.greet(t, client, server.public()); !errors.Is(err, transport.ErrRejected) {
		t.Errorf("at first: %v", err)
	}
	text, err := os.ReadFile(f.public("client"))
	if err == nil {
		err = os.WriteFile(filepath.Join(allowed.path, "client.key"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	look()
	if err := g.greet(t, client, server.public()); err != nil {
		t.Errorf("with the key put in: %v", err)
	}
	if err := os.Remove(filepath.Join(allowed.path, "client.key")); err != nil {
		t.Fatal(err)
	}
	look()
	if err := g.greet(t, client, server.public()); !errors.Is(err, transport.ErrRejected) {
		t.Errorf("with the key taken out: %v", err)
	}
}

func TestCurveOptionsRefused(t *testing.T) {
	t.Parallel()
	f := newKeyFolder(t, "server")
	empty := t.TempDir()
	for query, why := range map[string]string{
		"curve_clients=" + f.path:                                     "mean nothing without curve_key",
		"curve_key=" + f.secret("server"):                             "goes with curve_servers",
		"curve_key=" + f.public("server") + "&curve_servers=x":        "others than its owner can read",
		"curve_key=" + f.secret("server") + "&curve_servers=/no":      "curve_servers: curve: stat /no",
		"curve_key=" + f.secret("server") + "&curve_clients=" + empty: "holds no public key",
		"curve_key=/no&curve_clients=x":                               "no such file",
	} {
		u, err := transport.ParseURL("zmq:///?" + query)
		if err != nil {
			t.Fatal(err)
		}
		o, err := readCurve(u.Options())
		if err == nil {
			_, err = o.load(slog.New(slog.DiscardHandler))
		}
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %q", query, err, why)
		}
	}
	if err := os.Chmod(f.secret("server"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := (curveOptions{key: f.secret("server"), clients: f.path}).load(slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("with a secret that others can read: %v", err)
	}
	if _, err := (curveOptions{key: filepath.Join(f.path, "none"), clients: f.path}).load(slog.New(slog.DiscardHandler)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("with a secret that is not there: %v", err)
	}
}
