package service_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/service"
)

// slowAPI is an API that is being asked for something that takes long.
type slowAPI struct {
	runner service.Runner
	url    string
	asked  chan struct{}
	finish chan struct{}
	answer chan string // the body, or an error

	stop  context.CancelFunc
	ended chan error // what Run returned
}

func newSlowAPI(t *testing.T, drain time.Duration) *slowAPI {
	t.Helper()
	l, err := service.ListenHTTP(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &slowAPI{
		url: "http://" + l.Addr().String(), asked: make(chan struct{}), finish: make(chan struct{}), answer: make(chan string, 1), ended: make(chan error, 1),
	}
	a.runner = service.HTTPServer(l, &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(a.asked)
		select {
		case <-a.finish:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, "done")
	})}, drain)
	var ctx context.Context
	ctx, a.stop = context.WithCancel(t.Context())
	go func() { a.ended <- a.runner.Run(ctx) }()
	go func() {
		body, err := get(t.Context(), a.url)
		if err != nil {
			body = err.Error()
		}
		a.answer <- body
	}()
	await(t, "the request", a.asked)
	return a
}

func get(ctx context.Context, url string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	r.Close = true
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(got.Body)
	return string(body), errors.Join(err, got.Body.Close())
}

// When an API is stopped it takes nothing more, and what it works on has its time.
func TestHTTPServerDrains(t *testing.T) {
	t.Parallel()
	a := newSlowAPI(t, 0)
	a.stop()
	for { // the listener is closed at some time after the stop
		if _, err := get(t.Context(), a.url); err != nil {
			break
		}
	}
	close(a.finish)
	if body := await(t, "the answer", a.answer); body != "done" {
		t.Errorf("answered %q", body)
	}
	if err := await(t, "the end", a.ended); err != nil {
		t.Error(err)
	}
}

func TestHTTPServerCutsOff(t *testing.T) {
	t.Parallel()
	a := newSlowAPI(t, time.Millisecond)
	a.stop()
	if err := await(t, "the end", a.ended); err == nil || !strings.Contains(err.Error(), "cut off") || !strings.Contains(err.Error(), a.url[len("http://"):]) {
		t.Errorf("ended with %v", err)
	}
	if body := await(t, "the answer", a.answer); body == "done" {
		t.Error("it was answered")
	}
}

func TestHTTPServerIsAborted(t *testing.T) {
	t.Parallel()
	a := newSlowAPI(t, 0)
	a.stop()
	aborter, ok := a.runner.(interface{ Abort() })
	if !ok {
		t.Fatal("it cannot be aborted")
	}
	aborter.Abort()
	if err := await(t, "the end", a.ended); err != nil {
		t.Error(err)
	}
}
