package brokertest_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/Azure/go-amqp"
	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/internal/brokertest"
)

// patience bounds what a test waits for, on a machine with much else to do.
const patience = 60 * time.Second

// amqp1 opens a session on a broker, until the test ends.
func amqp1(t *testing.T, url string) *amqp.Session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := amqp.Dial(ctx, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	s, err := c.NewSession(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// receive returns the next message's text and accepts it.
func receive(t *testing.T, r *amqp.Receiver) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := r.Receive(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.AcceptMessage(ctx, m); err != nil {
		t.Fatal(err)
	}
	text, _ := m.Value.(string)
	return text
}

// send sends a text to an address.
func send(t *testing.T, s *amqp.Session, address, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	sender, err := s.NewSender(ctx, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := sender.Send(ctx, &amqp.Message{Value: text}, nil); err != nil {
		t.Fatal(err)
	}
}

func TestProtonGivesReplyAddressesAndForgetsOnAKill(t *testing.T) {
	t.Parallel()
	n := brokertest.NewProton(t)
	proxy := brokertest.NewProxy(t, n.Addr())
	s := amqp1(t, "amqp://"+proxy.Addr())
	replies, err := s.NewReceiver(t.Context(), "", &amqp.ReceiverOptions{DynamicAddress: true})
	if err != nil {
		t.Fatal(err, n.Output())
	}
	if replies.Address() == "" {
		t.Error("no dynamic address")
	}
	send(t, s, replies.Address(), "reply")
	if got := receive(t, replies); got != "reply" {
		t.Errorf("received %q", got)
	}
	send(t, s, "jobs", "lost")
	n.Kill()
	n.Restart(t)
	s = amqp1(t, n.URL())
	send(t, s, "jobs", "first")
	jobs, err := s.NewReceiver(t.Context(), "jobs", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := receive(t, jobs); got != "first" {
		t.Errorf("received %q; the broker keeps nothing over a kill", got)
	}
}

func TestProtonPausesAndRunsOn(t *testing.T) {
	t.Parallel()
	n := brokertest.NewProton(t)
	s := amqp1(t, n.URL())
	n.Pause(t)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		send(t, s, "jobs", "late")
	}()
	select {
	case <-sent:
		t.Error("a paused broker answered")
	case <-time.After(100 * time.Millisecond):
	}
	n.Resume(t)
	<-sent
}

func TestRabbitSpeaksAMQP1(t *testing.T) {
	t.Parallel()
	n := brokertest.RabbitAMQP1(t)
	s := amqp1(t, n.AMQP1URL())
	jobs, err := s.NewReceiver(t.Context(), "jobs", nil)
	if err != nil {
		t.Fatal(err)
	}
	send(t, s, "jobs", "text")
	if got := receive(t, jobs); got != "text" {
		t.Errorf("received %q", got)
	}
	if _, err = s.NewReceiver(t.Context(), "kept", &amqp.ReceiverOptions{SourceDurability: amqp.DurabilityUnsettledState}); err != nil {
		t.Fatal(err)
	}
	durable := map[string]bool{}
	for _, q := range n.ListQueues(t, "/") {
		durable[q.Name] = q.Durable
	}
	if diff := cmp.Diff(map[string]bool{"jobs": false, "kept": true}, durable); diff != "" {
		t.Error("queues and whether they are durable (-want +got)", diff)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err = s.NewReceiver(ctx, "", &amqp.ReceiverOptions{DynamicAddress: true})
	if err == nil || !strings.Contains(err.Error(), "not-implemented") {
		t.Errorf("dynamic address: %v, want not-implemented", err)
	}
}
