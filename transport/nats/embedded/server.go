package embedded

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/goslo/goslo/transport/nats"
)

const (
	maxPayload = 64 << 20 // of one message
	maxPending = 4 * maxPayload
	startLimit = 10 * time.Second
)

// fileBacked begins the names of servers that keep messages in a folder.
const fileBacked = "goslo-file"

// errBusy: another process of this user hosts the bus, or is about to.
var errBusy = errors.New("another process hosts the bus")

// A hosted server and what it holds.
type hosted struct {
	server *server.Server
	locks  []*os.File
}

// serverName tells a client, before it says who it is, whose bus this is and what becomes of messages.
func serverName(storeDir, public string) string {
	if storeDir == "" {
		return nats.MemoryOnly + "-" + public
	}
	sum := sha256.Sum256([]byte(storeDir))
	return fileBacked + "-" + public + "-" + hex.EncodeToString(sum[:8])
}

// startServer hosts the bus on an address. It fails with errBusy where somebody does already.
func startServer(runtime string, k key, host string, port int, storeDir string, log *slog.Logger) (h *hosted, err error) {
	h = &hosted{}
	defer func() {
		if err != nil {
			h.stop()
			h = nil
		}
	}()
	lock := "bus-" + strconv.Itoa(port)
	if err := h.lock(filepath.Join(runtime, lock+".lock")); err != nil {
		return h, err
	}
	dir := storeDir
	if dir == "" {
		// JetStream wants a folder for itself even when it stores nothing. The lock makes this one ours.
		dir = filepath.Join(runtime, lock+".scratch")
		if err := os.RemoveAll(dir); err != nil {
			return h, err
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return h, err
	}
	if storeDir != "" {
		info, err := os.Stat(dir)
		if err != nil {
			return h, err
		}
		if mode := info.Mode().Perm(); mode&0o002 != 0 {
			return h, fmt.Errorf("every user may write to store_dir %s (mode %04o), and so change what it keeps; give a folder of this user's own", dir, mode)
		}
		if err := h.lock(filepath.Join(dir, "goslo.lock")); err != nil {
			if errors.Is(err, errBusy) {
				err = fmt.Errorf("another bus, on another port, keeps its messages in store_dir %s", dir)
			}
			return h, err
		}
	}
	l := &serverLog{log: log, fatal: make(chan string, 1)}
	h.server, err = server.NewServer(&server.Options{
		ServerName:             serverName(storeDir, k.public),
		Host:                   host,
		Port:                   port,
		Nkeys:                  []*server.NkeyUser{{Nkey: k.public}},
		NoSigs:                 true,
		MaxPayload:             maxPayload,
		MaxPending:             maxPending,
		JetStream:              true,
		StoreDir:               dir,
		DisableJetStreamBanner: true,
	})
	if err != nil {
		return h, err
	}
	h.server.SetLoggerV2(l, false, false, false)
	h.server.Start()
	deadline := time.Now().Add(startLimit)
	for !h.server.ReadyForConnections(100 * time.Millisecond) {
		select {
		case reason := <-l.fatal:
			return h, errors.New(strings.ToLower(reason[:1]) + reason[1:])
		default:
		}
		if time.Now().After(deadline) {
			return h, fmt.Errorf("the server is not ready after %v", startLimit)
		}
	}
	return h, nil
}

func (h *hosted) lock(path string) error {
	f, ok, err := lockFile(path)
	if err != nil {
		return err
	}
	if !ok {
		return errBusy
	}
	h.locks = append(h.locks, f)
	return nil
}

// stop ends the server and waits for it. Closing a lock file drops the lock; that cannot matter if it fails.
func (h *hosted) stop() {
	if h.server != nil {
		h.server.Shutdown()
		h.server.WaitForShutdown()
	}
	for _, f := range h.locks {
		_ = f.Close()
	}
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
