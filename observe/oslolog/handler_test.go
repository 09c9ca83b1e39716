package oslolog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/observe/oslolog"
	"github.com/goslo/goslo/rpc"
)

func newLogger(t *testing.T, out *bytes.Buffer, o oslolog.Options) *slog.Logger {
	t.Helper()
	h, err := oslolog.New(out, o)
	if err != nil {
		t.Fatal(err)
	}
	return slog.New(h)
}

// Attributes follow the message, those of groups by their full names; some have a place of their own.
func TestAttributes(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := newLogger(t, &out, oslolog.Options{Logger: "svc", DefaultFormat: "%(levelname)s %(name)s [-] %(instance)s%(message)s", ExceptionPrefix: "  ", DebugSuffix: " ", Level: slog.LevelDebug})
	log.Info("plain")
	log.With("a", 1).WithGroup("g").With("b", "two words").WithGroup("").LogAttrs(t.Context(), slog.LevelInfo, "all",
		slog.String("c", `quo"te`), slog.Group("h", "d", time.Second, slog.Group("", "e", true)), slog.Attr{}, slog.String("empty", ""))
	log.With("logger", "other").Warn("failed", "instance", "7", "error", errors.New("boom"))
	log.Info("not so bad", "error", errors.New("boom"))
	log.WithGroup("g").Warn("in a group", "error", errors.New("boom"))
	log.Error("panicked", "error", errors.New("boom"), "traceback", "one\n  two\n")
	log.Debug("no suffix")
	want := `INFO svc [-] plain
INFO svc [-] all a=1 g.b="two words" g.c="quo\"te" g.h.d=1s g.h.e=true g.empty=""
WARNING other [-] [instance: 7] failed: boom
INFO svc [-] not so bad error=boom
WARNING svc [-] in a group g.error=boom
ERROR svc [-] panicked: boom
  one
    two
  ` + `
DEBUG svc [-] no suffix
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestAttributesAsJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := newLogger(t, &out, oslolog.Options{JSON: true})
	log.Warn("failed", "error", errors.New("boom"), "a", 1, "g", slog.GroupValue(slog.Any("b", errors.New("inner")), slog.Duration("c", time.Second)), "f", func() {}, "logger", "other")
	var got struct {
		Name         string
		ErrorSummary string `json:"error_summary"`
		Extra        map[string]any
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	if f, ok := got.Extra["f"].(string); !ok || f == "" {
		t.Errorf("what cannot be encoded is %v", got.Extra["f"])
	}
	delete(got.Extra, "f")
	if got.Name != "other" || got.ErrorSummary != "boom" || cmp.Diff(map[string]any{"a": 1.0, "g.b": "inner", "g.c": "1s"}, got.Extra) != "" {
		t.Errorf("%+v", got)
	}
}

// Members of a request context that oslo.log does not know are not shown, the token never.
func TestSecretsOfTheContext(t *testing.T) {
	t.Parallel()
	c, err := rpc.NewRequestContext(map[string]any{
		"request_id": "req-1", "auth_token": "secret1", "auth_token_info": map[string]string{"token": "secret2"}, "service_catalog": "secret3", "user_id": "nova's",
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx := rpc.WithContext(t.Context(), c)
	for _, o := range []oslolog.Options{{JSON: true}, {ContextFormat: "%(auth_token)s %(auth_token_info)s %(service_catalog)s %(user)s"}} {
		var out bytes.Buffer
		newLogger(t, &out, o).InfoContext(ctx, "m")
		if s := out.String(); strings.Contains(s, "secret") || !strings.Contains(s, "***") || !strings.Contains(s, "nova's") {
			t.Errorf("%s", s)
		}
	}
}

func TestFormatsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]oslolog.Options{
		"logging_context_format_string": {ContextFormat: "%(name"},
		"logging_default_format_string": {DefaultFormat: "100%"},
		"logging_debug_format_suffix":   {DebugSuffix: "%(a)q"},
		"logging_exception_prefix":      {ExceptionPrefix: "%s"},
		"logging_user_identity_format":  {UserIdentityFormat: "%()s"},
		"instance_format":               {InstanceFormat: "%(uuid)99999s"},
		"log_date_format":               {DateFormat: "%Q"},
	} {
		if _, err := oslolog.New(&bytes.Buffer{}, o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := oslolog.New(&bytes.Buffer{}, oslolog.Options{DateFormat: "%H:%"}); err == nil {
		t.Error("a date format that ends in a percent sign is taken")
	}
}

// Lines of many goroutines do not mix, and the level may change while they write.
func TestOneWriteForEachRecord(t *testing.T) {
	t.Parallel()
	out := &writes{}
	var level slog.LevelVar
	h, err := oslolog.New(out, oslolog.Options{Level: &level})
	if err != nil {
		t.Fatal(err)
	}
	if h.Enabled(context.Background(), slog.LevelDebug) {
		t.Error("debug records are written by default")
	}
	level.Set(slog.LevelDebug)
	var all sync.WaitGroup
	for i := range 8 {
		log := slog.New(h).With("i", i)
		all.Go(func() {
			for range 50 {
				log.Debug("m")
			}
		})
	}
	all.Wait()
	if len(out.lines) != 400 {
		t.Errorf("%d writes", len(out.lines))
	}
	for _, l := range out.lines {
		if strings.Count(l, "\n") != 1 || !strings.HasSuffix(l, "\n") {
			t.Fatalf("a write of %q", l)
		}
	}
}

// writes keeps what is written; the handler's lock guards it.
type writes struct{ lines []string }

func (w *writes) Write(p []byte) (int, error) {
	w.lines = append(w.lines, string(p))
	return len(p), nil
}

func BenchmarkText(b *testing.B) {
	h, err := oslolog.New(discard{}, oslolog.Options{})
	if err != nil {
		b.Fatal(err)
	}
	log := slog.New(h)
	b.ReportAllocs()
	for b.Loop() {
		log.Info("started", "a", 1)
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
