package embedded

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/nats"
)

var _ transport.Transport = (*Bus)(nil)

// A Bus is a connection to the embedded bus, and its host when nobody else is.
type Bus struct {
	*nats.Conn
	host *member
}

// Open joins the bus, or starts it in this process.
func Open(ctx context.Context, cfg Config) (*Bus, error) {
	b, err := open(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	return b, nil
}

func open(ctx context.Context, cfg Config) (*Bus, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	dir, err := runtimeDir(cfg.RuntimeDir)
	if err != nil {
		return nil, err
	}
	k, err := loadKey(dir)
	if err != nil {
		return nil, err
	}
	m := &member{cfg: cfg, runtime: dir, key: k, log: cfg.Logger, strict: true}
	conn, err := nats.Open(ctx, nats.Config{
		Servers:     []string{loopback(cfg.Port)},
		VirtualHost: cfg.VirtualHost,
		Exchange:    cfg.Exchange,
		Program:     cfg.Program,
		Auth:        nats.Auth{NKeyFile: k.path},
		Dial:        m.dial,
		Logger:      cfg.Logger,
	})
	if err != nil {
		m.leave()
		return nil, err
	}
	m.joined()
	return &Bus{Conn: conn, host: m}, nil
}

// Hosting says whether the bus runs in this process on behalf of this Bus.
func (b *Bus) Hosting() bool { return b.host.hosting() }

// Close implements [transport.Transport]. When the bus runs in this process it ends, and another of its
// clients takes over.
func (b *Bus) Close(ctx context.Context) error {
	err := b.Conn.Close(ctx)
	b.host.leave()
	return err
}

// A member of the bus dials it, and becomes its host when nobody is.
type member struct {
	cfg     Config
	runtime string
	key     key
	log     *slog.Logger

	mu     sync.Mutex
	left   bool
	strict bool // the first connection: a bus that is not as configured is an error
	hosted *hosted
}

func (m *member) hosting() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.hosted != nil
}

func (m *member) joined() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.strict = false
}

// leave ends the server if it is ours. The lock is held meanwhile: only a dial of our own could wait for it,
// and the connection has ended.
func (m *member) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left = true
	if m.hosted != nil {
		m.hosted.stop()
		m.hosted = nil
		m.log.Info("embedded: bus ended in this process", "address", loopback(m.cfg.Port))
	}
}

// dial reaches the bus, wherever it runs, starting it here when it runs nowhere.
func (m *member) dial(ctx context.Context, network, address string) (net.Conn, error) {
	for {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			return m.recognise(ctx, conn)
		}
		if !refused(err) {
			return nil, err
		}
		switch err := m.start(); {
		case err == nil:
			continue
		case !errors.Is(err, errBusy):
			return nil, fmt.Errorf("start the bus on %s: %w", address, err)
		}
		// Another process is starting it, or on its way out.
		t := time.NewTimer(5*time.Millisecond + rand.N(20*time.Millisecond))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, fmt.Errorf("%w, and is not ready: %w", errBusy, ctx.Err())
		}
	}
}

// start hosts the bus. The mutex is held while it starts: whoever else wants it wants the outcome.
func (m *member) start() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left {
		return transport.ErrClosed
	}
	if m.hosted != nil {
		m.hosted.stop() // it does not listen, so it is of no use
		m.hosted = nil
	}
	h, err := startServer(m.runtime, m.key, "127.0.0.1", m.cfg.Port, m.cfg.StoreDir, m.log)
	if err != nil {
		return err
	}
	m.hosted = h
	keeps := "memory"
	if m.cfg.StoreDir != "" {
		keeps = m.cfg.StoreDir
	}
	m.log.Info("embedded: bus started in this process", "address", loopback(m.cfg.Port), "keeps", keeps, "took_over", !m.strict)
	return nil
}

// recognise reads the server's first line, which tells who it is, and returns a connection that yields it again.
func (m *member) recognise(ctx context.Context, conn net.Conn) (net.Conn, error) {
	c, err := m.greet(ctx, conn)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s is taken: %w; give another port, as in embedded://:PORT", conn.RemoteAddr(), err), conn.Close())
	}
	return c, nil
}

func (m *member) greet(ctx context.Context, conn net.Conn) (net.Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) }) // fails on a closed connection only
	defer stop()
	r := bufio.NewReaderSize(conn, 32<<10)
	line, err := r.ReadSlice('\n')
	info, ok := bytes.CutPrefix(line, []byte("INFO "))
	if err != nil {
		return nil, fmt.Errorf("what listens there says nothing, so it is no NATS server: %w", err)
	}
	if !ok {
		return nil, errors.New("what listens there is no NATS server")
	}
	var hello struct {
		Name string `json:"server_name"`
	}
	if err := json.Unmarshal(info, &hello); err != nil {
		return nil, fmt.Errorf("what listens there is no NATS server: %w", err)
	}
	if err := m.judge(hello.Name); err != nil {
		return nil, err
	}
	if err := samePeer(conn); err != nil {
		return nil, err
	}
	rest, err := r.Peek(r.Buffered())
	if err != nil {
		return nil, err
	}
	if !stop() {
		return nil, ctx.Err()
	}
	return &replayed{Conn: conn, first: append(bytes.Clone(line), rest...)}, nil
}

// judge says whether a server's name is that of our bus.
func (m *member) judge(name string) error {
	m.mu.Lock()
	strict := m.strict
	m.mu.Unlock()
	inFiles := strings.HasPrefix(name, fileBacked+"-")
	switch {
	case !inFiles && !strings.HasPrefix(name, nats.MemoryOnly+"-"):
		return fmt.Errorf("the NATS server %q listens there, which is no embedded bus; to use it, say nats://", name)
	case !strings.Contains(name, "-"+m.key.public):
		return fmt.Errorf("the embedded bus of another user listens there, or one with another key than %s", m.key.path)
	case m.cfg.StoreDir == "" || name == serverName(m.cfg.StoreDir, m.key.public):
		return nil
	case strict:
		where := "in memory"
		if inFiles {
			where = "in another folder"
		}
		return fmt.Errorf("the bus runs in another process already and keeps its messages %s, not in store_dir %s; stop that one first, or leave store_dir out", where, m.cfg.StoreDir)
	}
	m.log.Warn("embedded: the bus was taken over by a process that does not keep messages in our folder", "store_dir", m.cfg.StoreDir)
	return nil
}

// replayed yields what was read before, then the rest.
type replayed struct {
	net.Conn
	first []byte
}

// Read implements net.Conn.
func (r *replayed) Read(b []byte) (int, error) {
	if len(r.first) > 0 {
		n := copy(b, r.first)
		r.first = r.first[n:]
		return n, nil
	}
	return r.Conn.Read(b)
}
