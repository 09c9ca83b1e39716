package config

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long files must stay the same before they are read again, so that nobody reads half of one.
const settle = 100 * time.Millisecond

// Run reloads the configuration on SIGHUP, and as [Config.Watch] does, until ctx ends. Errors of reloading are logged, and
// so is that files cannot be watched here; then SIGHUP is left. It returns nil.
func (c *Config[T]) Run(ctx context.Context) error {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	if err := c.watch(ctx, hangups); err != nil {
		c.log.Warn("configuration: files are read again on SIGHUP only", "err", err)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangups:
			c.reloadLogged()
		}
	}
}

// Watch reloads the configuration whenever a file of it has changed, appeared or gone, and then stayed so for a tenth of a
// second, until ctx ends. Errors of reloading are logged. Its own error says that files cannot be watched here.
func (c *Config[T]) Watch(ctx context.Context) error { return c.watch(ctx, nil) }

func (c *Config[T]) watch(ctx context.Context, hangups <-chan os.Signal) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("config: watch files: %w", err)
	}
	defer func() { _ = w.Close() }() // it fails only when closed already
	if err := c.loader.follow(w); err != nil {
		return err
	}
	last := *c.looked.Load()
	timer := time.NewTimer(0) // files may have changed since they were loaded
	defer timer.Stop()
	waiting := true
	look := func() {
		if !waiting {
			waiting = true
			timer.Reset(settle)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangups:
			c.reloadLogged()
		case <-w.Events:
			look()
		case err := <-w.Errors: // such as too many events
			c.log.Warn("configuration: watching files", "err", err)
			look()
		case <-timer.C:
			waiting = false
			// A folder that has appeared is watched first, so that what comes into it afterwards is noticed.
			if err := c.loader.follow(w); err != nil {
				c.log.Warn("configuration: watching files", "err", err)
			}
			now := c.loader.sum()
			settled := now == last
			last = now
			switch {
			case now == *c.looked.Load(): // somebody else may have called Reload
			case settled:
				c.reloadLogged()
			default:
				look()
			}
		}
	}
}

func (c *Config[T]) reloadLogged() {
	if _, err := c.Reload(); err != nil {
		c.log.Error("configuration: not reloaded, the old one stays in force", "err", err)
	}
}

// A fingerprint is of the names and bytes of all files.
type fingerprint [sha256.Size]byte

// sum is the fingerprint of the files as they are now. One that cannot be read counts as such.
func (l *loader) sum() fingerprint {
	h := sha256.New()
	for _, path := range l.paths() {
		text, err := os.ReadFile(path)
		fmt.Fprintf(h, "%q %v %d\n", path, err != nil, len(text))
		h.Write(text)
	}
	return fingerprint(h.Sum(nil))
}

// paths are the files that are there to be read.
func (l *loader) paths() []string {
	var paths []string
	for _, p := range l.places {
		if !p.dir {
			paths = append(paths, p.path)
			continue
		}
		// A folder that cannot be read has no files; reading it for their values tells why.
		files, _ := confFiles(p.path)
		paths = append(paths, files...)
	}
	return paths
}

// follow watches the folders in which a change can make another configuration: those of the files, and of what symbolic
// links on the way point to, as in a Kubernetes volume.
func (l *loader) follow(w *fsnotify.Watcher) error {
	var dirs []string
	for _, path := range l.paths() {
		dirs = append(dirs, filepath.Dir(path))
		if real, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	for _, p := range l.places {
		if p.dir {
			dirs = append(dirs, p.path, filepath.Dir(p.path))
		}
	}
	slices.Sort(dirs)
	dirs = slices.Compact(dirs)
	for _, dir := range w.WatchList() {
		if !slices.Contains(dirs, dir) {
			// One that was removed has stopped being watched by itself.
			_ = w.Remove(dir)
		}
	}
	for _, dir := range dirs {
		if err := w.Add(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("config: watch files in %s: %w", dir, err)
		}
	}
	return nil
}
