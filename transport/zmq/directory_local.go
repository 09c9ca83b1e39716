//go:build zmq

package zmq

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// racyTime is how much older than now a folder's time of change must be before what was read of it may be kept: within one tick
// of the file system's clock a second change does not show.
const racyTime = 50 * time.Millisecond

// A local directory is a folder of one host: of each topic a folder, and in that a file for each member that serves it. What a
// process that was killed left behind is removed by whoever finds its socket refusing connections.
type local struct {
	dir  string
	log  *slog.Logger
	self member

	mu     sync.Mutex
	ours   map[topicName][]string // our servers
	known  map[topicName]localTopic
	closed bool
}

// A localTopic is what a topic's folder held when it was read.
type localTopic struct {
	changed   time.Time
	providers []provider
}

// A localEntry is what a file says.
type localEntry struct {
	Exchange  string   `json:"exchange"`
	Topic     string   `json:"topic"`
	Servers   []string `json:"servers"`
	ID        string   `json:"id"`
	Host      string   `json:"host"`
	Key       string   `json:"key,omitempty"`
	Endpoints []string `json:"endpoints"`
}

func openLocal(dir string, log *slog.Logger) (*local, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the directory: %w", err)
	}
	return &local{dir: dir, log: log, ours: map[topicName][]string{}, known: map[topicName]localTopic{}}, nil
}

func (d *local) folder(t topicName) string {
	sum := sha256.Sum256([]byte(strconv.Itoa(len(t.exchange)) + ":" + t.exchange + t.topic))
	return filepath.Join(d.dir, hex.EncodeToString(sum[:16]))
}

func (d *local) join(_ context.Context, self member) error {
	d.self = self
	return nil
}

func (d *local) serve(_ context.Context, s service) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := topicName{s.Exchange, s.Topic}
	if slices.Contains(d.ours[t], s.Server) {
		return nil
	}
	servers := append(slices.Clone(d.ours[t]), s.Server)
	if err := d.write(t, servers); err != nil {
		return err
	}
	d.ours[t] = servers
	return nil
}

func (d *local) unserve(_ context.Context, s service) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := topicName{s.Exchange, s.Topic}
	servers := slices.DeleteFunc(slices.Clone(d.ours[t]), func(o string) bool { return o == s.Server })
	if err := d.write(t, servers); err != nil {
		return err
	}
	d.ours[t] = servers
	if len(servers) == 0 {
		delete(d.ours, t)
	}
	return nil
}

// write says which servers of a topic we have. A reader finds the whole file or none.
func (d *local) write(t topicName, servers []string) error {
	folder := d.folder(t)
	path := filepath.Join(folder, d.self.ID)
	if len(servers) == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		_ = os.Remove(folder) // it stays when others are in it
		return nil
	}
	text, err := json.Marshal(localEntry{t.exchange, t.topic, servers, d.self.ID, d.self.Host, d.self.Key, d.self.Endpoints})
	if err != nil {
		return err
	}
	temporary := filepath.Join(d.dir, "."+d.self.ID)
	if err := os.WriteFile(temporary, text, 0o600); err != nil {
		return err
	}
	for range 10 { // somebody may remove the folder, empty, between our two steps
		if err = os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err = os.Rename(temporary, path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

func (d *local) find(_ context.Context, exchange, topic string, _ bool) ([]provider, error) {
	t := topicName{exchange, topic}
	folder := d.folder(t)
	info, err := os.Stat(folder)
	if errors.Is(err, fs.ErrNotExist) {
		d.mu.Lock()
		delete(d.known, t)
		d.mu.Unlock()
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	changed := info.ModTime()
	d.mu.Lock()
	known, ok := d.known[t]
	d.mu.Unlock()
	if ok && known.changed.Equal(changed) {
		return known.providers, nil
	}
	entries, err := d.read(folder)
	if err != nil {
		return nil, err
	}
	providers := make([]provider, 0, len(entries))
	for _, e := range entries {
		if e.Exchange == exchange && e.Topic == topic {
			providers = append(providers, provider{member: member{ID: e.ID, Endpoints: e.Endpoints, Host: e.Host, Key: e.Key}, Servers: e.Servers})
		}
	}
	if time.Since(changed) > racyTime {
		d.mu.Lock()
		d.known[t] = localTopic{changed, providers}
		d.mu.Unlock()
	}
	return providers, nil
}

func (d *local) read(folder string) ([]localEntry, error) {
	files, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries := make([]localEntry, 0, len(files))
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(folder, f.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has just been removed
		}
		if err != nil {
			return nil, err
		}
		var e localEntry
		if err := json.Unmarshal(text, &e); err != nil || e.ID != f.Name() {
			d.log.Warn("zmq: file in the directory ignored: it is not one of ours", "path", filepath.Join(folder, f.Name()))
			continue
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func (d *local) topics(_ context.Context, exchange string) ([]string, error) {
	folders, err := os.ReadDir(d.dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range folders {
		if !f.IsDir() {
			continue
		}
		entries, err := d.read(filepath.Join(d.dir, f.Name()))
		if err != nil {
			return nil, err
		}
		if len(entries) > 0 && entries[0].Exchange == exchange {
			names = append(names, entries[0].Topic)
		}
	}
	return names, nil
}

func (d *local) gone(m member) {
	// Reply addresses come from others: an identifier is neither a path nor a pattern, and no file but a socket of this bus is removed.
	if m.ID == "" || m.ID == d.self.ID || fileName(m.ID) != m.ID {
		return
	}
	for _, pattern := range []string{filepath.Join(d.dir, "*", m.ID), filepath.Join(d.dir, "."+m.ID)} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			continue // the pattern is ours, and right
		}
		for _, f := range files {
			if err := os.Remove(f); err == nil {
				_ = os.Remove(filepath.Dir(f)) // unless others are in it
			}
		}
	}
	for _, e := range m.Endpoints {
		if path, ok := strings.CutPrefix(e, "ipc://"); ok && path == filepath.Join(filepath.Dir(d.dir), m.ID) {
			_ = os.Remove(path)
		}
	}
}

func (d *local) close(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	var errs []error
	for t := range d.ours {
		errs = append(errs, d.write(t, nil))
	}
	clear(d.ours)
	if err := os.Remove(filepath.Join(d.dir, "."+d.self.ID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// hostID tells hosts apart, also those that have one name.
func hostID() string {
	name, err := os.Hostname()
	if err != nil {
		name = ""
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		boot = nil // not on Linux
	}
	sum := sha256.Sum256(append([]byte(name+"\x00"), boot...))
	return hex.EncodeToString(sum[:6])
}

// fileName makes a name out of any text, another one for each.
func fileName(s string) string {
	if len(s) > 32 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		sum := sha256.Sum256([]byte(s))
		return "=" + hex.EncodeToString(sum[:8])
	}
	return s
}

// ipcDir is the folder of sockets, made if need be: the one configured, or goslo-zmq in the user's runtime folder. It must be
// the user's own, because whoever can write to it can take part, and it is.
func ipcDir(configured string) (string, error) {
	dir := configured
	if dir == "" {
		parent := os.Getenv("XDG_RUNTIME_DIR")
		if parent == "" {
			parent = "/run/user/" + strconv.Itoa(os.Getuid())
			if info, err := os.Stat(parent); err != nil || !owned(info) {
				if parent, err = os.UserCacheDir(); err != nil {
					return "", fmt.Errorf("no place for sockets; give rpc_zmq_ipc_dir or set XDG_RUNTIME_DIR: %w", err)
				}
			}
		}
		dir = filepath.Join(parent, "goslo-zmq")
	}
	dir, err := filepath.Abs(dir) // others, who find it in the directory, have folders of their own
	if err != nil {
		return "", fmt.Errorf("rpc_zmq_ipc_dir: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil { //nolint:gosec // The user names the folder; whose it is is looked at next.
		return "", fmt.Errorf("rpc_zmq_ipc_dir: make the folder of sockets: %w", err)
	}
	info, err := os.Stat(dir) //nolint:gosec // The same.
	if err != nil {
		return "", fmt.Errorf("rpc_zmq_ipc_dir: look at the folder of sockets: %w", err)
	}
	if configured == "" && (!owned(info) || info.Mode().Perm()&0o077 != 0) {
		return "", fmt.Errorf("the folder of sockets %s is open to others; chmod 700 it, or give another as rpc_zmq_ipc_dir", dir)
	}
	return dir, nil
}

// owned says whether a file belongs to us.
func owned(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Getuid()
}
