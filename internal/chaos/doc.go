// Package chaos breaks brokers and networks under load, and counts what happened to every request.
//
// It holds nothing but tests. TestChaos runs a short version of everything; with -chaos.full, which is what
// `make chaos` does, it runs all of it and measures. The flags that begin with chaos. narrow it.
//
// # The load
//
// Two clients, one in Go and one in Python on the real oslo.messaging, and two servers, one of each, make four
// pairs. Each pair has calls, casts and fanouts at a steady rate. Every request has a key of its own. Servers
// record the key and the time of everything that they execute, clients the end of every request. The account is
// made of these two records alone: nothing that a peer believes about itself counts.
//
// # What the goals mean
//
// A confirmed cast is one whose Cast has returned nil. It is lost when no server has executed it by the end.
// Casts go to durable queues (amqp_durable_queues) or, in the cluster, to quorum queues (rabbit_quorum_queue):
// what was in a transient queue dies with its broker, and a fanout queue is always transient, so that lost
// fanouts are counted and are not a goal.
//
// A request was executed twice when its key was recorded twice, by whomever. A sender that has published and was not
// answered publishes again, with the same unique id. The server that has seen the id drops the second copy; another
// server of the same topic could not know. Therefore each topic has one server here, which is how RPC that must not
// run twice is addressed in OpenStack (topic.server), and every second request is addressed to the topic alone.
//
// A call hangs when neither a reply nor an error has ended it by its deadline and an allowance. Time in which the
// machine did not let the process run at all does not count.
//
// Recovery is the time from the moment at which the broker can be reached again to the first success of a
// request, call, cast and fanout each by itself; of a cast and a fanout the success is its execution. Where nothing
// had become unreachable, as when a queue was deleted, only requests count that began after that.
//
// The goals bind our half of a pair: Go clients lose nothing and do not hang, Go servers execute nothing twice,
// recovery is that of Go with Go. Figures of the other pairs stand beside them, for what they are.
//
// # Goroutines
//
// One per request and one for each kind of load, awaited when the load ends; those of Go's peers, which must all
// have ended when the peers were closed: that is one of the goals.
package chaos
