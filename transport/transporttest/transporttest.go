// Package transporttest is the contract of package transport as an executable suite: a transport that
// passes [Run] is one. Each case carries the sentence that it proves and prints it when it fails.
//
// A test of a transport is a few lines:
//
//	func TestContract(t *testing.T) { // not parallel: one case counts goroutines
//		bus := memory.NewBus()
//		transporttest.Run(t, transporttest.Config{
//			Open: func(testing.TB) transport.Transport { return bus.Open(memory.Config{}) },
//		})
//	}
//
// The package owns no bus. Every goroutine that a case starts has ended when the case has.
package transporttest

import (
	"cmp"
	"errors"
	"testing"
	"time"

	"github.com/goslo/goslo/transport"
)

// Config says how to reach the transport that is tested, and what may be asked of it.
type Config struct {
	// Open returns another client of one and the same bus, as another process would be. It fails the
	// test when it cannot. The suite closes the transport.
	Open func(t testing.TB) transport.Transport

	// Lacks are the features that the transport does not claim, or'ed together. Default: it claims all.
	Lacks Feature

	// MaxBody is the most bytes that a message may have on this bus, if there is a limit: more must be
	// transport.ErrRejected. Default (0): no limit; 4 MiB must pass.
	MaxBody int

	// Patience is how long a case waits for what must happen. Default: 20 s.
	Patience time.Duration

	// Silence is how long a case listens for what must not happen. Default: 100 ms.
	Silence time.Duration
}

func (c Config) withDefaults() Config {
	c.Patience = cmp.Or(c.Patience, 20*time.Second)
	c.Silence = cmp.Or(c.Silence, 100*time.Millisecond)
	return c
}

// A Feature is something that a bus may be unable to do. The cases of a feature that is not claimed run
// nevertheless, and must meet errors.ErrUnsupported, except where the feature's doc says otherwise.
type Feature uint

// The features.
const (
	// Requeue: a cast that was handed over can be given back by Settler.Requeue.
	Requeue Feature = 1 << iota
	// Inspect: the transport is a transport.Inspector. Not claimed: it is none, or its method says ErrUnsupported.
	Inspect
	// Topics: the transport is a transport.Namer. Not claimed: it is none, or its method says ErrUnsupported.
	Topics
	// Leave: its listeners at Topic addresses are transport.Leavers. Not claimed: they are none, or the method says ErrUnsupported.
	Leave

	// Notifications: it carries notifications. Not claimed: Send and Listen say ErrUnsupported.
	Notifications
	// Pools: listeners for notifications may be in pools. Not claimed: Listen says ErrUnsupported when the address names one.
	Pools
	// TemporaryPools: a pool may be temporary. Not claimed: Listen says ErrUnsupported.
	TemporaryPools
	// Sharing: members of a pool share what one publisher sends. Not claimed: one of them has all of one publisher's, as on Kafka, where it is in
	// one partition.
	Sharing
	// Requests: it carries requests and replies. Not claimed: Send and Listen say ErrUnsupported, and no case but those of notifications runs.
	Requests

	// Redelivery: what a listener holds unsettled goes back to the bus when the listener, or the transport
	// under it, is closed. Not claimed: it is lost, and the cases do not run, as nothing is there to say so.
	Redelivery
	// Keeps: casts to a topic or server that has been there wait while it is away. Not claimed:
	// the cases do not run; such a cast is ErrNoListener or lost.
	Keeps
	// KeepsCalls: the same for calls. Not claimed: such a call must be ErrNoListener, at Send or by the reply listener.
	KeepsCalls
	// KeepsNotifications: notifications wait for listeners that are away or have never been there. Not claimed: one that nobody
	// listens for must be ErrNoListener.
	KeepsNotifications
	// Expiry: a call that nobody took before Message.Expires is dropped. Not claimed: it is delivered, and the case does not run.
	Expiry
	// SeparateExchanges: equal topics on different exchanges are different topics. Not claimed: the case
	// does not run. (RabbitMQ as oslo uses it has one queue per topic name, whatever the exchange.)
	SeparateExchanges
	// LiteralNames: a server "b.c" of the topic "a" is not the server "c" of "a.b", and words that are
	// wildcards on some buses are plain names. Not claimed: the case does not run. (RabbitMQ as oslo uses it
	// joins topic and server by a dot and binds names as they are.)
	LiteralNames
	// Multicast: a fanout reaches every server of its topic. Not claimed: it reaches one of them, and the
	// cases do not run. (A broker of AMQP 1.0 may know queues only.)
	Multicast
	// Absence: that nobody ever listened at an address is an error for who sends there. Not claimed: such a message
	// waits for whoever comes, and the cases do not run. (Brokers of AMQP 1.0 make queues for senders, too.)
	Absence
)

// A Case is one promise of the contract.
type Case struct {
	Name string
	Why  string // the sentence of the contract that the case proves

	needs     Feature
	skippable bool // when what it needs is not claimed: without it nothing is there to be seen
	alone     bool // no test may run beside it
	run       func(f *fixture)
}

// Cases are all promises.
func Cases() []Case {
	var all []Case
	for _, group := range [][]Case{routing(), replies(), content(), settling(), leaving(), notifying(), lifetime(), names()} {
		all = append(all, group...)
	}
	return all
}

// Run proves the contract. The test that calls it must not be parallel to others, because one case counts
// goroutines. The other cases run in parallel to each other, on one bus.
func Run(t *testing.T, c Config) {
	t.Helper()
	for _, one := range Cases() {
		t.Run(one.Name, func(t *testing.T) {
			if !one.alone {
				t.Parallel()
			}
			one.Run(t, c)
		})
	}
}

// Run proves this one promise.
func (one Case) Run(tb testing.TB, c Config) {
	tb.Helper()
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("the contract says: %s", one.Why)
		}
	})
	f := newFixture(tb, c.withDefaults())
	needs := one.needs
	if needs&Notifications == 0 {
		needs |= Requests
	}
	lacks := needs & c.Lacks
	if lacks == 0 {
		one.run(f)
		return
	}
	if one.skippable || lacks&Requests != 0 && one.needs&Requests == 0 {
		tb.Logf("not claimed, and nothing to be seen without: %s", one.Why)
		return
	}
	f.unclaimed = true
	one.run(f)
	if !f.unsupported {
		tb.Errorf("the transport does not claim this, so something had to fail with errors.ErrUnsupported")
	}
}

// supports is asked with the error of an operation that only some transports can do. It ends the test on an
// error, and tells whether to go on.
func (f *fixture) supports(what string, err error) bool {
	f.Helper()
	if f.unclaimed && errors.Is(err, errors.ErrUnsupported) {
		f.unsupported = true
		return false
	}
	if err != nil {
		f.Fatalf("%s: %v", what, err)
	}
	return true
}
