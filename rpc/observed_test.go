package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/rpc"
)

// What a program counts with is told of late replies: of which method, and how late.
func TestLateRepliesAreTold(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		c.serve(rpc.ServerConfig{}, sleep.Handle(func(context.Context, sleepArgs) (string, error) {
			<-time.After(5 * time.Second) // whatever its context says
			return "late", nil
		}))
		var told []rpc.LateReply
		client := c.newClient(rpc.ClientConfig{Timeout: 2 * time.Second, Late: func(l rpc.LateReply) { told = append(told, l) }})
		var timeout *rpc.TimeoutError
		if _, err := sleep.Call(t.Context(), client, sleepArgs{}); !errors.As(err, &timeout) {
			t.Fatal(err)
		}
		<-time.After(4 * time.Second)
		synctest.Wait()
		if diff := cmp.Diff([]rpc.LateReply{{Topic: "compute", Method: "sleep", After: 3 * time.Second}}, told); diff != "" {
			t.Errorf("late replies (-want +got):\n%s", diff)
		}
	})
}

// The class of an error is that of what the caller gets.
func TestClassOf(t *testing.T) {
	t.Parallel()
	var nothing error = &rpc.NoSuchMethodError{Method: "m"}
	for want, err := range map[string]error{
		"RuntimeError": errors.New("any"),
		"oslo_messaging.rpc.dispatcher.NoSuchMethod":   nothing,
		"oslo_messaging.exceptions.MessagingTimeout":   fmt.Errorf("asked another: %w", context.DeadlineExceeded),
		"nova.exception.InstanceNotFound":              fmt.Errorf("boot: %w", rpc.ErrorClass{Module: "nova.exception", Name: "InstanceNotFound"}.Errorf("no")),
		"oslo_messaging.rpc.client.RPCVersionCapError": &rpc.VersionError{Cap: "1.0"},
	} {
		if got := rpc.ClassOf(err).Error(); got != want {
			t.Errorf("%v is of class %s, want %s", err, got, want)
		}
	}
}
