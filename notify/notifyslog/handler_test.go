package notifyslog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/notify/notifyslog"
	"github.com/goslo/goslo/rpc"
)

// A fixture is a logger whose records are told to a recorder, and what it has logged.
type fixture struct {
	*slog.Logger
	handler *notifyslog.Handler
	told    *notify.Recorder
	log     *bytes.Buffer
}

func newFixture(c notifyslog.Config, drivers ...notify.Driver) *fixture {
	f := &fixture{told: new(notify.Recorder), log: new(bytes.Buffer)}
	c.Notifier = notify.NewNotifier(notify.NotifierConfig{Publisher: "shop.host-1", Drivers: append(drivers, f.told)})
	f.handler = notifyslog.New(slog.NewTextHandler(f.log, nil), c)
	f.Logger = slog.New(f.handler)
	return f
}

func (f *fixture) close(t *testing.T) []notify.Raw {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := f.handler.Close(ctx); err != nil {
		t.Error(err)
	}
	return f.told.Notifications()
}

// A record at the level, or above, is told with where it was logged, its attributes but for secrets, and who asked; and logged as before.
//
// conforms: NLOG-01, NLOG-02
func TestRecordIsTold(t *testing.T) {
	t.Parallel()
	f := newFixture(notifyslog.Config{})
	c, err := rpc.NewRequestContext(map[string]string{"request_id": "req-1", "auth_token": "hunter2"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(rpc.WithContext(t.Context(), c))
	log := f.With("logger", "shop.stock", "disk", slog.GroupValue(slog.Int("size", 3), slog.String("admin_password", "hunter2"))).WithGroup("deep")
	log.ErrorContext(ctx, "disk full, token=hunter2", "error", errors.New("no space"), "big", int64(1<<60))
	cancel() // the request is over, and its record is told all the same
	log.WarnContext(ctx, "disk nearly full")
	all := f.close(t)
	if len(all) != 1 {
		t.Fatalf("told %d, want the error alone", len(all))
	}
	n := all[0]
	if n.Type != "logrecord" || n.Priority != notify.Error || n.Publisher != "shop.host-1" || string(n.Context.JSON()) != `{"request_id":"req-1"}` {
		t.Errorf("told %s, priority %s, of %s, in %s", n.Type, n.Priority, n.Publisher, n.Context.JSON())
	}
	var got map[string]any
	if err := json.Unmarshal(n.Payload, &got); err != nil {
		t.Fatal(err)
	}
	if path, line := fmt.Sprint(got["pathname"]), got["lineno"]; !strings.HasSuffix(path, "/notifyslog/handler_test.go") || line == 0.0 {
		t.Errorf("logged at %s:%v", path, line)
	}
	delete(got, "pathname")
	delete(got, "lineno")
	want := map[string]any{
		"name": "shop.stock", "levelno": 40.0, "levelname": "ERROR", "exc_info": nil, "msg": "disk full, token=***", "funcName": "TestRecordIsTold", "thread": nil,
		"processName": "notifyslog.test", "process": float64(os.Getpid()),
		"extra": map[string]any{
			"disk": map[string]any{"size": 3.0, "admin_password": "***"},
			"deep": map[string]any{"error": "no space", "big": float64(1 << 60)},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("payload (-want +got):\n%s", diff)
	}
	for _, text := range []string{`msg="disk full, token=hunter2" logger=shop.stock disk.size=3`, `deep.error="no space"`, `msg="disk nearly full"`} {
		if !strings.Contains(f.log.String(), text) {
			t.Errorf("not logged: %s\n%s", text, f.log)
		}
	}
}

// Levels are priorities; which is the least, the program chooses.
//
// conforms: NLOG-01, NLOG-03
func TestLevels(t *testing.T) {
	t.Parallel()
	f := newFixture(notifyslog.Config{Level: slog.LevelDebug, Name: "shop"})
	for _, l := range []slog.Level{-8, -4, -1, 0, 4, 5, 8, 11, 12, 20} {
		f.Log(t.Context(), l, "x")
	}
	var got []string
	for _, n := range f.close(t) {
		var p struct {
			Name, LevelName string
			LevelNo         int
			Extra           any
		}
		if err := json.Unmarshal(n.Payload, &p); err != nil || p.Name != "shop" || p.Extra != nil {
			t.Errorf("%s: %v", n.Payload, err)
		}
		got = append(got, fmt.Sprintln(n.Priority, p.LevelName, p.LevelNo))
	}
	want := []string{
		"debug DEBUG 10\n", "debug DEBUG 10\n", "info INFO 20\n", "warn WARNING 30\n", "warn WARNING 30\n",
		"error ERROR 40\n", "error ERROR 40\n", "critical CRITICAL 50\n", "critical CRITICAL 50\n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if n := strings.Count(f.log.String(), "\n"); n != 7 {
		t.Errorf("logged %d, want those that the next handler wants alone:\n%s", n, f.log)
	}
}

// conforms: NLOG-04
func TestPublishErrors(t *testing.T) {
	t.Parallel()
	f := newFixture(notifyslog.Config{PublishErrors: true})
	f.Error("disk full", "disk", "sda")
	f.Error("no database: password=hunter2")
	all := f.close(t)
	if len(all) != 2 || string(all[1].Payload) != `{"error":"no database: password=***"}` || all[0].Type != "error_notification" || all[0].Publisher != "error.publisher" || all[0].Priority != notify.Error || string(all[0].Payload) != `{"error":"disk full"}` {
		t.Errorf("told %+v", all)
	}
}

// A failing driver logs an error for each notification, to the log whose records are told.
type failing struct{ log *slog.Logger }

func (d *failing) Notify(ctx context.Context, _ *notify.Raw, _ notify.Retry) error {
	d.log.ErrorContext(ctx, "cannot tell")
	return nil
}

// What telling logs is not told: not by the driver log, not what a driver logs in its context, nor what the notifier says when it fails.
//
// conforms: NLOG-05
func TestTellingIsNotTold(t *testing.T) {
	t.Parallel()
	var drivers [3]notify.Driver
	var f *fixture
	late := slog.New(lateHandler{&f}) // drivers come before the handler
	drivers[0], drivers[1], drivers[2] = notify.NewLog(late), &failing{late}, refusing{}
	told := new(notify.Recorder)
	f = &fixture{told: told, log: new(bytes.Buffer)}
	f.handler = notifyslog.New(slog.NewTextHandler(f.log, nil), notifyslog.Config{Level: slog.LevelInfo, Notifier: notify.NewNotifier(notify.NotifierConfig{
		Drivers: append(drivers[:], told), Swallow: true, Logger: late,
	})})
	f.Logger = slog.New(f.handler)
	f.Error("disk full")
	// Nor what another notifier says, of which no context tells.
	other := notify.NewNotifier(notify.NotifierConfig{Drivers: []notify.Driver{refusing{}}, Swallow: true, Logger: f.Logger})
	if err := other.Notify(t.Context(), notify.Info, "x", nil); err != nil {
		t.Fatal(err)
	}
	if err := f.handler.Close(t.Context()); err == nil || f.handler.Lost() != 1 {
		t.Errorf("closed: %v; lost %d, want the one that a driver has refused", err, f.handler.Lost())
	}
	if all := told.Notifications(); len(all) != 1 {
		t.Errorf("told %d times, want once: %v", len(all), all)
	}
	for _, text := range []string{"oslo.messaging.notification", "cannot tell", "notification lost"} {
		if !strings.Contains(f.log.String(), text) {
			t.Errorf("not logged: %s\n%s", text, f.log)
		}
	}
}

// lateHandler is the fixture's, once there is one.
type lateHandler struct{ f **fixture }

func (h lateHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return (*h.f).handler.Enabled(ctx, l)
}

func (h lateHandler) Handle(ctx context.Context, r slog.Record) error {
	return (*h.f).handler.Handle(ctx, r)
}
func (h lateHandler) WithAttrs(a []slog.Attr) slog.Handler { return (*h.f).handler.WithAttrs(a) }
func (h lateHandler) WithGroup(g string) slog.Handler      { return (*h.f).handler.WithGroup(g) }

// refusing brings nothing.
type refusing struct{}

func (refusing) Notify(context.Context, *notify.Raw, notify.Retry) error { return errors.New("no") }

// stuck waits for as long as it may.
type stuck struct{ began atomic.Int64 }

func (d *stuck) Notify(ctx context.Context, _ *notify.Raw, _ notify.Retry) error {
	d.began.Add(1)
	<-ctx.Done()
	return context.Cause(ctx)
}

// A bus that does not answer holds nobody up: records wait, and those for which there is no room are counted, and spoken of once.
func TestNobodyWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := new(stuck)
		var log bytes.Buffer
		h := notifyslog.New(slog.NewTextHandler(&log, nil), notifyslog.Config{Queue: 3, Notifier: notify.NewNotifier(notify.NotifierConfig{Drivers: []notify.Driver{d}})})
		start := time.Now()
		slog.New(h).Error("first")
		synctest.Wait() // it is taken out of the queue
		for range 10 {
			slog.New(h).Error("another")
		}
		if waited := time.Since(start); waited > 0 || h.Lost() != 7 {
			t.Errorf("waited for %s, and lost %d, want 7", waited, h.Lost())
		}
		if n := strings.Count(log.String(), "notification lost"); n != 1 {
			t.Errorf("said %d times that records are lost, want once:\n%s", n, log.String())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := h.Close(ctx)
		if waited := time.Since(start); err == nil || !strings.Contains(err.Error(), "11 notifications") || waited != time.Minute {
			t.Errorf("closed after %s: %v; want a minute, and all 11 counted", waited, err)
		}
		if n := d.began.Load(); n != 4 {
			t.Errorf("%d were tried, want all that had room", n)
		}
		slog.New(h).Error("last")
		if !strings.Contains(log.String(), "msg=last") || h.Lost() != 11 {
			t.Errorf("a record after Close is not logged alone (%d lost)", h.Lost())
		}
	})
}

// Close has told what was waiting.
func TestCloseFlushes(t *testing.T) {
	t.Parallel()
	f := newFixture(notifyslog.Config{}, pause{})
	for range 20 {
		f.Error("x")
	}
	if all := f.close(t); len(all) != 20 || f.handler.Lost() != 0 {
		t.Errorf("told %d, want 20", len(all))
	}
	f.close(t)
}

// pause lets others run.
type pause struct{}

func (pause) Notify(ctx context.Context, _ *notify.Raw, _ notify.Retry) error {
	t := time.NewTimer(time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return nil
}
