package service_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/service"
)

// An answer is what a probe gets.
type answer struct {
	Status string `json:"status"`
	Phase  string `json:"phase"`
	Checks []struct {
		Name   string `json:"name"`
		OK     bool   `json:"ok"`
		Reason string `json:"reason"`
		Detail string `json:"detail"`
	} `json:"checks"`
}

func probe(t *testing.T, h http.Handler, path string) (code int, a answer) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("%s: %v: %s", path, err, w.Body)
	}
	return w.Code, a
}

// reasons are those of the checks that fail, by name.
func (a answer) reasons() map[string]string {
	m := map[string]string{}
	for _, c := range a.Checks {
		if !c.OK {
			m[c.Name] = c.Reason
		}
	}
	return m
}

// A deafPart may be unable to work.
type deafPart struct {
	*part

	deaf error
}

func (p *deafPart) Ready() error { return p.deaf }

// Probes follow the phases, and give each reason a code.
func TestProbes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		p := &deafPart{newPart(&j, "server", time.Second), nil}
		release := make(chan struct{})
		hook := service.Hook("init", func(context.Context) error { <-release; return nil })
		s := service.New(nil, p, hook)
		var bus error
		h := s.Handler(service.Check{Name: "bus", Ready: func() error { return bus }})
		want := func(when string, startup, ready int, reasons map[string]string) {
			t.Helper()
			if code, _ := probe(t, h, "/livez"); code != 200 {
				t.Errorf("%s: livez %d", when, code)
			}
			if code, a := probe(t, h, "/startupz"); code != startup || (a.Status == "ok") != (startup == 200) {
				t.Errorf("%s: startupz %d %+v, want %d", when, code, a, startup)
			}
			code, a := probe(t, h, "/readyz")
			if code != ready || (a.Status == "ok") != (ready == 200) {
				t.Errorf("%s: readyz %d %+v, want %d", when, code, a, ready)
			}
			if diff := cmp.Diff(reasons, a.reasons()); diff != "" {
				t.Errorf("%s: reasons (-want +got):\n%s", when, diff)
			}
		}
		stop, ended := started(t, s)
		want("at the start", 503, 503, map[string]string{"service": service.ReasonStarting})
		if _, a := probe(t, h, "/startupz"); !strings.Contains(a.Checks[0].Detail, "init") {
			t.Errorf("what is waited for: %+v", a)
		}
		close(release)
		synctest.Wait()
		want("running", 200, 200, map[string]string{})
		p.deaf = errors.New("its queue has gone")
		want("deaf", 200, 503, map[string]string{"server": service.ReasonNotListening})
		p.deaf, bus = nil, &service.ReasonError{Code: service.ReasonBlocked, Cause: errors.New("low on memory")}
		want("blocked", 200, 503, map[string]string{"bus": service.ReasonBlocked})
		bus = errors.New("something else")
		want("another reason", 200, 503, map[string]string{"bus": service.ReasonFailed})
		bus = nil
		stop()
		synctest.Wait()
		want("draining", 200, 503, map[string]string{"service": service.ReasonDraining})
		if err := <-ended; err != nil {
			t.Error(err)
		}
		want("stopped", 200, 503, map[string]string{"service": service.ReasonDraining})
	})
}

// Every reason has a section for operators.
func TestReasonsAreExplained(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []string{
		service.ReasonStarting, service.ReasonDraining, service.ReasonNotListening, service.ReasonDisconnected, service.ReasonBlocked, service.ReasonFailed,
	} {
		if !strings.Contains(string(page), "\n#### "+code+"\n") {
			t.Errorf("docs/operating.md does not explain the reason %s", code)
		}
	}
}

// HTTP answers at a socket until it is stopped; a socket that a dead process left behind is no obstacle, one that is served is.
func TestHTTPAtASocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "health")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	if err := stale.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := service.ListenHTTP(t.Context(), "unix:"+path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the socket: %v, %v", info.Mode(), err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	go func() { ended <- service.HTTP(l, hello, slog.New(slog.DiscardHandler)).Run(ctx) }()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x/", nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(got.Body); err != nil || string(b) != "hello" {
		t.Errorf("got %q, %v", b, err)
	}
	if err := got.Body.Close(); err != nil {
		t.Error(err)
	}
	if _, err := service.ListenHTTP(t.Context(), "unix:"+path); err == nil || !strings.Contains(err.Error(), "somebody serves there") {
		t.Errorf("a socket that is served: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}
