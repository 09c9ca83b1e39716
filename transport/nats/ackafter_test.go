package nats_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/rpc"
)

// A server that acknowledges after gives casts back when it stops; a call, which NATS does not store, is answered with a failure
// instead, at once. The log has said so before.
func TestAckAfter(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	var log bytes.Buffer // written by the server's goroutines, read when they have ended
	target := rpc.Target{Topic: "compute"}
	resize := rpc.NewCall[rpc.Args, string](target, "resize")
	serve := func(server, result string, drain time.Duration, began chan<- string) (stop func() error) {
		t.Helper()
		s := rpc.NewServer(open(t, node.URL()), rpc.ServerConfig{
			Target: target, Server: server, AckAfter: true, Drain: drain, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		}, resize.Handle(func(ctx context.Context, _ rpc.Args) (string, error) {
			began <- rpc.RequestFrom(ctx).Mode.String()
			if result == "" {
				<-ctx.Done()
				return "", context.Cause(ctx)
			}
			return result, nil
		}))
		if err := s.Listen(testContext(t)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		return func() error {
			cancel()
			return <-ended
		}
	}
	began := make(chan string, 10)
	stop := serve("h1", "", -1, began)
	bus := open(t, node.URL())
	client := rpc.NewClient(bus, rpc.ClientConfig{})
	ended := make(chan error, 1)
	go func() {
		_, err := resize.Call(testContext(t), client, nil)
		ended <- err
	}()
	<-began
	if err := resize.Cast(testContext(t), client, nil); err != nil {
		t.Fatal(err)
	}
	<-began
	start := time.Now()
	var drain *rpc.DrainError
	if err := stop(); !errors.As(err, &drain) {
		t.Errorf("stop: %v, want a DrainError", err)
	}
	var remote *rpc.RemoteError
	if err := <-ended; !errors.As(err, &remote) || remote.Class.Name != "MessageDeliveryFailure" || time.Since(start) > 20*time.Second {
		t.Errorf("the call: %v after %s, want a failure to deliver", err, time.Since(start))
	}
	if said := log.String(); strings.Count(said, "AckAfter has no effect on them") != 1 || !strings.Contains(said, "requests=calls") {
		t.Errorf("the log says %s", said)
	}
	stop = serve("h2", "done", time.Minute, began)
	if mode := <-began; mode != "cast" {
		t.Errorf("%s ran elsewhere, want the cast", mode)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if err := client.Close(testContext(t)); err != nil {
		t.Error(err)
	}
}
