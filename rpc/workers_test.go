package rpc_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/goslo/goslo/rpc"
)

// As many handlers run at a time as oslo's executor_thread_pool_size has threads by default; the rest waits.
//
// conforms: CFG-04
func TestDefaultNumberOfWorkers(t *testing.T) {
	inCloud(t, func(c *cloud) {
		var running atomic.Int64
		free := make(chan struct{})
		c.serve(rpc.ServerConfig{}, note.Handle(func(context.Context, echoArgs) error {
			running.Add(1)
			<-free
			return nil
		}))
		for range 70 {
			if err := note.Cast(c.t.Context(), c.client, echoArgs{}); err != nil {
				c.t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := running.Load(); n != 64 {
			c.t.Errorf("%d handlers run, want 64", n)
		}
		close(free)
		synctest.Wait()
		if n := running.Load(); n != 70 {
			c.t.Errorf("%d handlers have run, want all 70", n)
		}
	})
}
