//go:build zmq

package zmq

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	zmq4 "github.com/pebbe/zmq4"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/zmq/curve"
)

// zapEndpoint is where libzmq asks, in each context, who may connect (ZeroMQ's RFC 27).
const zapEndpoint = "inproc://zeromq.zap.01"

// zapDomain has to be set for libzmq to ask at all; nothing depends on its text.
const zapDomain = "goslo"

// keysLook is the least time between two looks whether files of keys have changed.
const keysLook = time.Second

// curveOptions are those of encryption.
type curveOptions struct{ key, servers, clients string }

// readCurve reads the options of encryption.
func readCurve(o *transport.Options) (curveOptions, error) {
	var c curveOptions
	o.Text("curve_key", &c.key)
	o.Text("curve_servers", &c.servers)
	o.Text("curve_clients", &c.clients)
	switch {
	case c.key == "" && (c.servers != "" || c.clients != ""):
		return c, errors.New("curve_servers and curve_clients mean nothing without curve_key, the file with our own keys; `goslo zmq keys` makes one")
	case c.key != "" && c.servers == "" && c.clients == "":
		return c, errors.New("curve_key goes with curve_servers, the public keys of those whom we may call, with curve_clients, of those who may call us, or with both")
	}
	return c, nil
}

// load reads the keys.
func (o curveOptions) load(log *slog.Logger) (security, error) {
	if o.key == "" {
		return open{}, nil
	}
	pair, err := curve.ReadPair(o.key)
	if err != nil {
		return nil, fmt.Errorf("curve_key: %w", err)
	}
	servers, err := newKeyRing("curve_servers", o.servers, log)
	if err != nil {
		return nil, err
	}
	clients, err := newKeyRing("curve_clients", o.clients, log)
	if err != nil {
		return nil, err
	}
	return &encryption{pair: pair, servers: servers, clients: clients, log: log}, nil
}

// An encryption is CURVE on all sockets: connections are encrypted, and both sides have shown that they have the keys which
// the other one was told to trust.
type encryption struct {
	pair    curve.Pair
	servers *keyRing // whom we may call
	clients *keyRing // who may call us
	log     *slog.Logger
}

// public implements [security].
func (c *encryption) public() string { return c.pair.Public.String() }

// server implements [security].
func (c *encryption) server(s *zmq4.Socket) error {
	return wrap(errors.Join(s.SetZapDomain(zapDomain), s.SetCurveServer(1), s.SetCurveSecretkey(c.pair.Secret())), "set up curve")
}

// client implements [security]. Which key a server has the directory says, and which ones to trust, our files. Where the
// directory does not say, there must be one.
func (c *encryption) client(s *zmq4.Socket, serverKey string) error {
	trusted := c.servers.keys()
	if len(trusted) == 0 {
		return fmt.Errorf("%w: we trust none; curve_servers names the public keys of those that we do", errUntrusted)
	}
	if serverKey == "" {
		if len(trusted) != 1 {
			return fmt.Errorf("%w: the directory does not tell the server's public key, and of curve_servers it could be any of %d; give keys in directory_file", errUntrusted, len(trusted))
		}
		for k := range trusted {
			serverKey = k.String()
		}
	}
	k, err := curve.ParseKey(serverKey)
	if err != nil {
		return fmt.Errorf("%w: the public key in the directory %w", errUntrusted, err)
	}
	if _, ok := trusted[k]; !ok {
		return fmt.Errorf("%w: its public key %s is not among those of curve_servers, %s", errUntrusted, serverKey, c.servers.path)
	}
	return wrap(errors.Join(s.SetCurveServerkey(serverKey), s.SetCurvePublickey(c.public()), s.SetCurveSecretkey(c.pair.Secret())), "set up curve")
}

// errUntrusted is why we do not connect to a server.
var errUntrusted = errors.New("the server is not one that we trust")

// start implements [security]: it begins to answer libzmq's questions who may connect. The goroutine, and its thread, end with stop.
func (c *encryption) start(z *zmq4.Context) (stop func() error, err error) {
	s, err := z.NewSocket(zmq4.REP)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.SetLinger(0), s.Bind(zapEndpoint)); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	ended := make(chan error, 1)
	go func() { ended <- errors.Join(c.answer(s), s.Close()) }()
	return func() error {
		q, err := z.NewSocket(zmq4.REQ)
		if err != nil {
			return err
		}
		if err = errors.Join(q.SetLinger(0), q.Connect(zapEndpoint)); err == nil {
			_, err = q.SendMessage("end")
		}
		if err == nil {
			err = <-ended
		}
		return errors.Join(err, q.Close())
	}, nil
}

// answer answers until it is asked to end, which nobody outside of this context can do. A request is version, request id, domain,
// address, identity, mechanism and the client's public key; an answer version, id, code, text, user and metadata.
func (c *encryption) answer(s *zmq4.Socket) error {
	for {
		q, err := s.RecvMessageBytes(0)
		if err != nil {
			return err
		}
		if len(q) == 1 {
			return nil
		}
		if len(q) < 6 {
			continue
		}
		code, text, user := "400", "not allowed", ""
		if string(q[5]) == "CURVE" && len(q) == 7 && len(q[6]) == len(curve.Key{}) {
			k := curve.Key(q[6])
			if name, ok := c.clients.keys()[k]; ok {
				code, text, user = "200", "OK", name
			} else {
				c.log.Warn("zmq: a client was refused: its public key is not among those of curve_clients",
					"address", string(q[3]), "key", k.String(), "curve_clients", c.clients.path)
			}
		}
		if _, err := s.SendMessage("1.0", q[1], code, text, user, ""); err != nil {
			return err
		}
	}
}

// handshakeReason says what an event of a connection's monitor means.
func handshakeReason(event zmq4.Event, value int) string {
	switch event {
	case zmq4.EVENT_HANDSHAKE_FAILED_AUTH:
		return fmt.Sprintf("the server does not let us in (status %d): our public key is not among its curve_clients", value)
	case zmq4.EVENT_HANDSHAKE_FAILED_PROTOCOL:
		return fmt.Sprintf("the server does not speak as we do (code %#x): one of us has curve_key and the other has not, or its key is another one than we were told", value)
	case zmq4.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
		return "the server ended the connection while we introduced ourselves: its key is another one than we were told, or only one of us has curve_key"
	default:
		return "the server and we did not agree: " + event.String()
	}
}

// A keyRing is public keys in a file or folder, which is read again when it has changed. One without a path holds none.
type keyRing struct {
	option, path string
	log          *slog.Logger

	mu     sync.Mutex
	read   curve.Keys
	stamp  string
	looked time.Time
}

func newKeyRing(option, path string, log *slog.Logger) (*keyRing, error) {
	r := &keyRing{option: option, path: path, log: log, looked: time.Now()}
	if path == "" {
		return r, nil
	}
	r.stamp = r.mark()
	var err error
	if r.read, err = curve.ReadKeys(path); err != nil {
		return nil, fmt.Errorf("%s: %w", option, err)
	}
	if len(r.read) == 0 {
		return nil, fmt.Errorf("%s: %s: holds no public key; names of files of keys end with %s", option, path, curve.PublicEnding)
	}
	return r, nil
}

// keys are those of the moment. Keys that cannot be read any more stay as they were, and that is logged. r.mu is held while
// files are read, which keeps those who connect waiting for no more than that.
func (r *keyRing) keys() curve.Keys {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.path == "" || now.Sub(r.looked) < keysLook {
		return r.read
	}
	r.looked = now
	stamp := r.mark()
	if stamp == r.stamp {
		return r.read
	}
	r.stamp = stamp
	keys, err := curve.ReadKeys(r.path)
	if err != nil {
		r.log.Error("zmq: keys cannot be read again; going on with those known", "option", r.option, "error", err)
		return r.read
	}
	r.log.Info("zmq: keys were read again", "option", r.option, "path", r.path, "keys", len(keys))
	r.read = keys
	return r.read
}

// mark changes when a file does, or a file of a folder.
func (r *keyRing) mark() string {
	info, err := os.Stat(r.path)
	if err != nil {
		return err.Error()
	}
	if !info.IsDir() {
		return fileMark(info)
	}
	entries, err := os.ReadDir(r.path)
	if err != nil {
		return err.Error()
	}
	marks := make([]string, 0, len(entries)+1)
	marks = append(marks, fileMark(info))
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			marks = append(marks, fileMark(info))
		}
	}
	return strings.Join(marks, ";")
}

func fileMark(info fs.FileInfo) string {
	return fmt.Sprintf("%s %d %s", info.Name(), info.Size(), info.ModTime().Format(time.RFC3339Nano))
}
