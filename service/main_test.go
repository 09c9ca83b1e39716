package service_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/goslo/goslo/service"
)

// A reload that hangs hides neither the end nor what SIGQUIT asks for, and one is possible while the service starts.
func TestSignalsDuringAReload(t *testing.T) { //nolint:paralleltest // signals are the process's
	reloads := make(chan service.Phase, 1)
	dumped := make(dump, 1)
	begun, held := make(chan struct{}), make(chan struct{})
	hook := service.Hook("init", func(context.Context) error { close(begun); <-held; return nil })
	s := service.New(nil, hook)
	ended := make(chan error, 1)
	go func() {
		ended <- s.Main(context.Background(), service.Process{
			Dump: dumped,
			Reload: func(ctx context.Context) error {
				reloads <- s.Phase()
				<-ctx.Done()
				return nil
			},
			Env: func(string) (string, bool) { return "", false },
		})
	}()
	send := func(sig syscall.Signal) {
		t.Helper()
		if err := syscall.Kill(syscall.Getpid(), sig); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "start", begun)
	send(syscall.SIGHUP)
	if phase := await(t, "reload", reloads); phase != service.Starting {
		t.Errorf("reloaded while %s", phase)
	}
	close(held)
	await(t, "end of the start", s.Up())
	send(syscall.SIGQUIT)
	await(t, "dump", dumped)
	send(syscall.SIGTERM)
	if err := await(t, "end", ended); err != nil {
		t.Error(err)
	}
}

func await[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(30 * time.Second):
		t.Fatalf("no %s within 30 s", what)
	}
	return v
}

// A dump tells that something was written.
type dump chan struct{}

func (d dump) Write(p []byte) (int, error) {
	select {
	case d <- struct{}{}:
	default:
	}
	return len(p), nil
}
