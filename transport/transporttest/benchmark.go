package transporttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goslo/goslo/transport"
)

// Benchmark measures a transport the same way as all others: call (a request, and a reply to it) and cast
// (a request, until its server has it), one at a time and 64 at a time, with 64 B, 4 KiB and 256 KiB of
// arguments. Calls report the median and the 99th percentile of their times as well.
//
// What package rpc does above the seam is not in it, other than finding the caller of a reply.
func Benchmark(b *testing.B, c Config) {
	b.Helper()
	for _, kind := range []struct {
		name string
		run  func(b *testing.B, c Config, callers int, body []byte)
	}{{"call", benchmarkCall}, {"cast", benchmarkCast}} {
		for _, size := range []struct {
			name  string
			bytes int
		}{{"64B", 64}, {"4KiB", 4 << 10}, {"256KiB", 256 << 10}} {
			for _, callers := range []int{1, benchCallers} {
				name := "serial"
				if callers > 1 {
					name = "parallel" + strconv.Itoa(callers)
				}
				body := []byte(`{"arg":"` + strings.Repeat("x", size.bytes-len(`{"arg":""}`)) + `"}`)
				b.Run(kind.name+"/"+size.name+"/"+name, func(b *testing.B) {
					b.ReportAllocs()
					b.SetBytes(int64(len(body)))
					kind.run(b, c.withDefaults(), callers, body)
				})
			}
		}
	}
}

const benchCallers = 64

// spread runs do n times in all, by so many goroutines.
func spread(n, callers int, do func(caller, i int) error) error {
	var wait sync.WaitGroup
	failed := make([]error, callers)
	for caller := range callers {
		wait.Go(func() {
			for i := caller; i < n && failed[caller] == nil; i += callers {
				failed[caller] = do(caller, i)
			}
		})
	}
	wait.Wait()
	return errors.Join(failed...)
}

func benchmarkCall(b *testing.B, c Config, callers int, body []byte) {
	b.Helper()
	f := newFixture(b, c)
	ctx, cancel := context.WithCancel(b.Context())
	var loops sync.WaitGroup
	defer loops.Wait()
	defer cancel()
	fail := func(what string, err error) {
		if ctx.Err() == nil {
			b.Errorf("%s: %v", what, err)
			cancel()
		}
	}

	serverSide, clientSide := f.open(), f.open()
	server, answers := f.listen(serverSide, f.to("one"), 2*callers), f.replies(clientSide)
	result := []byte(`"done"`)
	// As many workers as callers; Next is for one at a time.
	var turn sync.Mutex
	for range callers {
		loops.Go(func() {
			for {
				turn.Lock()
				d, err := server.Next(ctx)
				turn.Unlock()
				if err == nil {
					err = errors.Join(d.Ack(ctx), serverSide.Send(ctx, replyTo(d.Message.ReplyTo), &transport.Message{ID: d.Message.ID, Result: result, Ending: true}))
				}
				if err != nil {
					fail("serve", err)
					return
				}
			}
		})
	}
	mine := make([]chan struct{}, callers) // by caller, whose number is the call's ID
	for i := range mine {
		mine[i] = make(chan struct{}, 1)
	}
	loops.Go(func() {
		for {
			d, err := answers.Next(ctx)
			if err == nil {
				err = errors.Join(d.Undelivered, d.Ack(ctx))
			}
			if err != nil {
				fail("wait for a reply", err)
				return
			}
			caller, err := strconv.Atoi(d.Message.ID)
			if err != nil {
				fail("find the caller", err)
				return
			}
			mine[caller] <- struct{}{}
		}
	})

	ids := make([]string, callers)
	for i := range ids {
		ids[i] = strconv.Itoa(i)
	}
	took := make([]time.Duration, b.N)
	b.ResetTimer()
	err := spread(b.N, callers, func(caller, i int) error {
		start := time.Now()
		m := transport.Message{Method: "echo", Args: body, ReplyTo: answers.Addr(), ID: ids[caller]}
		if err := clientSide.Send(ctx, f.to(""), &m); err != nil {
			return err
		}
		select {
		case <-mine[caller]:
		case <-ctx.Done():
			return ctx.Err()
		}
		took[i] = time.Since(start)
		return nil
	})
	b.StopTimer()
	if err != nil {
		b.Fatalf("call: %v", err)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2]), "p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100]), "p99-ns")
}

func benchmarkCast(b *testing.B, c Config, callers int, body []byte) {
	b.Helper()
	f := newFixture(b, c)
	serverSide, clientSide := f.open(), f.open()
	server := f.listen(serverSide, f.to("one"), 2*benchCallers)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	served := make(chan error, 1)
	b.ResetTimer()
	go func() { // awaited below
		for i := range b.N {
			d, err := server.Next(ctx)
			if err == nil {
				err = d.Ack(ctx)
			}
			if err != nil {
				served <- fmt.Errorf("serve: after %d of %d: %w", i, b.N, err)
				return
			}
		}
		served <- nil
	}()
	err := spread(b.N, callers, func(int, int) error {
		return clientSide.Send(ctx, f.to(""), &transport.Message{Method: "echo", Args: body})
	})
	if err != nil {
		cancel()
	}
	err = errors.Join(err, <-served)
	b.StopTimer()
	if err != nil {
		b.Fatalf("cast: %v", err)
	}
}
