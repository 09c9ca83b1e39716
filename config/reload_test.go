package config_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/goslo/goslo/config"
)

// logged keeps what is logged, a line each.
type logged struct {
	mu    sync.Mutex
	lines []string
	heard chan string // not nil: told of each line
}

func (l *logged) Enabled(context.Context, slog.Level) bool { return true }
func (l *logged) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logged) WithGroup(string) slog.Handler            { return l }

func (l *logged) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Level.String() + " " + r.Message)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	})
	l.mu.Lock()
	l.lines = append(l.lines, b.String())
	l.mu.Unlock()
	if l.heard != nil {
		l.heard <- b.String()
	}
	return nil
}

func (l *logged) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string{}, l.lines...)
}

type reloadable struct {
	Level   string        `config:"level,mutable" default:"info" choices:"debug,info,warn"`
	Limit   int           `config:"limit,mutable" default:"10"`
	Token   config.Secret `config:"token,mutable"`
	Workers int           `config:"workers" default:"4"`
	Span    span          `config:"span"`
}

func overwrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestReload(t *testing.T) {
	t.Parallel()
	log := &logged{}
	s := source(t, "[DEFAULT]\nlevel = info\nworkers = 4\ntoken = first-token\n")
	s.Logger = slog.New(log)
	conf := mustLoad(t, s, reloadable{})
	var hooked []string
	conf.OnChange(func(before, after *reloadable) {
		hooked = append(hooked, before.Level+" to "+after.Level)
		if conf.Get() != after {
			t.Error("the hook came before the values")
		}
	})
	before := conf.Get()

	if changes, err := conf.Reload(); err != nil || len(changes) > 0 || conf.Get() != before {
		t.Errorf("a reload of the same: %v, %v", changes, err)
	}

	path := s.Files[0]
	overwrite(t, path, "[DEFAULT]\nworkers = 8\nlevel = debug\ntoken = second-token\n")
	changes, err := conf.Reload()
	if err != nil {
		t.Fatal(err)
	}
	want := []config.Change{
		{Setting: config.Setting{Group: "DEFAULT", Name: "level", Value: "debug", From: path + ":3"}, Old: "info"},
		{Setting: config.Setting{Group: "DEFAULT", Name: "token", Value: "***", From: path + ":4"}, Old: "***"},
		{Setting: config.Setting{Group: "DEFAULT", Name: "workers", Value: "8", From: path + ":2"}, Old: "4", Restart: true},
	}
	if diff := cmp.Diff(want, changes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{
		"INFO configuration: reloaded files=[" + path + "] changes=0",
		"INFO configuration: option changed group=DEFAULT option=level old=info new=debug from=" + path + ":3",
		"INFO configuration: option changed group=DEFAULT option=token old=*** new=*** from=" + path + ":4",
		"WARN configuration: option changed, which needs a restart group=DEFAULT option=workers old=4 new=8 from=" + path + ":2",
		"INFO configuration: reloaded files=[" + path + "] changes=3",
	}, log.all()); diff != "" {
		t.Error(diff)
	}
	now := conf.Get()
	if now.Level != "debug" || now.Workers != 4 || now.Token.Reveal() != "second-token" {
		t.Errorf("options are %+v", now)
	}
	if before.Level != "info" || before.Token.Reveal() != "first-token" {
		t.Errorf("the options of before have changed: %+v", before)
	}
	if got := conf.Settings()[3]; got.Value != "4" {
		t.Errorf("the settings tell what is not in force: %+v", got)
	}

	// Nothing changes when anything is wrong, be it in an option, or between two of which one cannot change.
	overwrite(t, path, "[DEFAULT]\nlevel = warn\nlimit = ten\n")
	if _, err := conf.Reload(); err == nil || !strings.Contains(err.Error(), path+":3: [DEFAULT] limit = \"ten\"") {
		t.Errorf("error = %v", err)
	}
	overwrite(t, path, "[DEFAULT\n")
	if _, err := conf.Reload(); err == nil || !strings.Contains(err.Error(), path+":1: ") {
		t.Errorf("error = %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := conf.Reload(); err == nil {
		t.Error("a reload without the file")
	}
	if conf.Get() != now {
		t.Error("a reload that failed has changed the options")
	}

	// The default is back when the option is gone.
	overwrite(t, path, "[DEFAULT]\nworkers = 4\n")
	if _, err := conf.Reload(); err != nil || conf.Get().Level != "info" || conf.Get().Token.Reveal() != "" {
		t.Errorf("options are %+v, %v", conf.Get(), err)
	}
	if diff := cmp.Diff([]string{"info to debug", "debug to info"}, hooked); diff != "" {
		t.Error(diff)
	}
}

// Readers see one reload or another, never a mixture.
func TestReloadIsAtomic(t *testing.T) {
	t.Parallel()
	text := func(n int) string { return fmt.Sprintf("[pair]\na = %d\nb = %d\n", n, n) }
	s := source(t, text(0))
	conf := mustLoad(t, s, struct {
		Pair struct {
			A int `config:"a,mutable"`
			B int `config:"b,mutable"`
		} `config:"pair"`
	}{})
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if pair := conf.Get().Pair; pair.A != pair.B {
					t.Errorf("a = %d and b = %d", pair.A, pair.B)
					return
				}
			}
		})
	}
	for n := 1; n <= 50; n++ {
		overwrite(t, s.Files[0], text(n))
		if _, err := conf.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	readers.Wait()
	if got := conf.Get().Pair.A; got != 50 {
		t.Errorf("a = %d, want 50", got)
	}
}

// watched runs conf until the test ends, and returns what waits for a line of the log.
func watched(t *testing.T, run func(context.Context) error, log *logged) (await func(part string)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return func(part string) {
		t.Helper()
		timeout := time.After(10 * time.Second)
		for {
			select {
			case line := <-log.heard:
				if strings.Contains(line, part) {
					return
				}
			case <-timeout:
				t.Fatalf("nothing was logged of %q; the log is %q", part, log.all())
			}
		}
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	join := func(name string) string { return filepath.Join(dir, name) }
	overwrite(t, join("a.conf"), "[DEFAULT]\nlimit = 1\n")
	log := &logged{heard: make(chan string, 100)}
	conf := mustLoad(t, config.Source{
		Files: []string{join("a.conf")}, Dirs: []string{join("conf.d")}, Env: lookup(nil), Logger: slog.New(log),
	}, reloadable{})
	await := watched(t, conf.Watch, log)

	overwrite(t, join("a.conf"), "[DEFAULT]\nlimit = 2\n") // in place
	await("new=2")
	overwrite(t, join("a.new"), "[DEFAULT]\nlimit = 3\n") // put in its place, as an editor does
	if err := os.Rename(join("a.new"), join("a.conf")); err != nil {
		t.Fatal(err)
	}
	await("new=3")
	if err := os.Mkdir(join("conf.d"), 0o700); err != nil { // a folder that was not there
		t.Fatal(err)
	}
	overwrite(t, join("conf.d/1.conf"), "[DEFAULT]\nlimit = 4\n")
	await("new=4")
	overwrite(t, join("conf.d/1.conf"), "[DEFAULT]\nlimit = four\n")
	await("not reloaded")
	overwrite(t, join("conf.d/1.conf"), "[DEFAULT]\nlimit = 5\n")
	await("new=5")
	if err := os.Remove(join("conf.d/1.conf")); err != nil {
		t.Fatal(err)
	}
	await("new=3")

	await("configuration: reloaded")
	if got := conf.Get().Limit; got != 3 {
		t.Errorf("limit = %d, want 3", got)
	}
}

// What somebody else has made be read, for better or worse, is not read again.
func TestWatchBesideReload(t *testing.T) {
	t.Parallel()
	log := &logged{heard: make(chan string, 100)}
	s := source(t, "[DEFAULT]\nlimit = 1\n")
	s.Logger = slog.New(log)
	conf := mustLoad(t, s, reloadable{})
	await := watched(t, conf.Watch, log)
	overwrite(t, s.Files[0], "[DEFAULT]\nlimit = 2\n")
	await("changes=1")
	overwrite(t, s.Files[0], "[DEFAULT]\nlimit = three\n")
	if _, err := conf.Reload(); err == nil {
		t.Error("a reload of a broken file")
	}
	select {
	case line := <-log.heard:
		t.Errorf("the watcher has read the file again: %s", line)
	case <-time.After(time.Second): // many times as long as the watcher waits
	}
}

// A Kubernetes volume is a folder of links through ..data, which is replaced as a whole.
func TestWatchKubernetesVolume(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	publish := func(version, text string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		overwrite(t, filepath.Join(dir, version, "a.conf"), text)
		if err := os.Symlink(version, filepath.Join(dir, "..tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	publish("..1", "[DEFAULT]\nlimit = 1\n")
	if err := os.Symlink("..data/a.conf", filepath.Join(dir, "a.conf")); err != nil {
		t.Fatal(err)
	}
	log := &logged{heard: make(chan string, 100)}
	conf := mustLoad(t, config.Source{Files: []string{filepath.Join(dir, "a.conf")}, Env: lookup(nil), Logger: slog.New(log)}, reloadable{})
	await := watched(t, conf.Watch, log)
	publish("..2", "[DEFAULT]\nlimit = 2\n")
	await("new=2")
	if err := os.RemoveAll(filepath.Join(dir, "..1")); err != nil {
		t.Fatal(err)
	}
	publish("..3", "[DEFAULT]\nlimit = 3\n")
	await("new=3")
	overwrite(t, filepath.Join(dir, "..3", "a.conf"), "[DEFAULT]\nlimit = 4\n") // where the link points to
	await("new=4")
}

// It is not parallel: a signal reaches every watcher of the process.
func TestRunReloadsOnSIGHUP(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	log := &logged{heard: make(chan string, 100)}
	s := source(t, "[DEFAULT]\nlimit = 1\n")
	s.Logger = slog.New(log)
	conf := mustLoad(t, s, reloadable{})
	overwrite(t, s.Files[0], "[DEFAULT]\nlimit = 2\n") // between Load and Run: it is found without an event
	t.Run("run", func(t *testing.T) {
		await := watched(t, conf.Run, log)
		await("new=2")
		overwrite(t, s.Files[0], "[DEFAULT\n")
		await("not reloaded")
		// The file is the same; only the signal makes it be read again.
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		await("not reloaded")
	})
}

// Where files cannot be watched, as when the machine has no more inotify instances, SIGHUP is left. Not parallel, as above.
func TestRunWithoutWatching(t *testing.T) {
	log := &logged{heard: make(chan string, 100)}
	s := source(t, "[DEFAULT]\nlimit = 1\n")
	loop := filepath.Join(t.TempDir(), "conf.d")
	s.Dirs, s.Logger = []string{loop}, slog.New(log)
	conf := mustLoad(t, s, reloadable{})
	if err := os.Symlink("conf.d", loop); err != nil { // a link to itself cannot be watched
		t.Fatal(err)
	}
	await := watched(t, conf.Run, log)
	await("read again on SIGHUP only")
	if err := os.Remove(loop); err != nil {
		t.Fatal(err)
	}
	overwrite(t, s.Files[0], "[DEFAULT]\nlimit = 2\n")
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	await("new=2")
	await("configuration: reloaded files=[" + s.Files[0] + "] changes=1")
}
