// Package nats carries RPC over NATS: "nats://" URLs.
//
// It owns one connection to a NATS cluster, with its reconnection, and the mapping below. It does not pair
// replies with calls, retry or time anything out: that is package rpc. The bus that needs no server to be
// installed ("embedded://") is package embedded, which adds a server to this package; it is apart so that
// programs that use a server of their own do not link one (10 MB).
//
// # Mapping
//
// Every subject starts with "om.<virtual host>."; names are escaped as in URLs where NATS needs it.
//
//	call to a topic       plain request on call.<exchange>.<topic>, one queue group
//	call to a server      plain request on call.<exchange>.<topic>.<server>, one queue group
//	fanout                plain message on fanout.<exchange>.<topic>, to every server
//	reply, heartbeat      plain message on reply.<caller>.<id>, to the caller's one wildcard subscription
//	cast to a topic       JetStream, cast.<exchange>.<topic>
//	cast to a server      JetStream, cast.<exchange>.<topic>.<server>
//	notification          JetStream, notification.<exchange>.<topic with priority>
//
// A cast's queue is a work-queue stream of its own with one durable pull consumer, made by the first server
// that listens and never removed, as with oslo.messaging's queues on RabbitMQ. So a subject that nobody ever
// listened on belongs to no stream, and what was confirmed is stored. (One stream with interest retention for
// all queues would confirm such a cast and then forget it.)
//
// The notifications of a topic have a stream with interest retention, with one durable pull consumer for each pool, and one, which
// whoever sends makes first, for the listeners without a pool: so the stream keeps what one of them has not acknowledged.
// Pools of one name on several topics are apart. An operator who deletes a stream while it is in use may lose what is sent at that
// moment, besides what it held: until its consumer is there again the server confirms what it does not keep.
//
// A queue that was deleted under its listeners is there again a second later; until then who casts is told that nobody listens, and who
// notifies waits two. (A stream that is made again while the server still deletes it loses its files and confirms nothing, until it is deleted
// once more: so who has just connected and makes it in these milliseconds may do.)
//
// # Guarantees
//
// A call to nobody comes back at once, see [transport.Delivery].Undelivered. A call is not stored: it is gone
// when its server dies, or the connection to it. A listener keeps calls waiting while its deliveries are
// unsettled; past [MaxWaitingCalls] or [MaxWaitingBytes] it gives the call back to the caller
// (transport.ErrRejected) rather than drop it in silence. Fanout messages have no caller to tell: past the
// limits they are dropped, and an error is logged. What waited longer than its Message.Expires is dropped.
//
// A cast or notification is confirmed once stored. Sending it again with the same UniqueID within two minutes stores it once.
// That nobody ever listened is said only after the server was asked whether there is a stream; without the right to
// publish to $JS.API.STREAM.INFO.* such a cast is tried until its context ends.
//
// A queue hands a cast to somebody else when it has not heard of who has it for 15 s. A listener that was cut off
// for so long does not acknowledge it any more, so that it does not run twice. Acknowledgements themselves are not
// confirmed: a cast whose acknowledgement is lost with the connection is delivered again, as Redelivered.
//
// How long a cast has waited is told by the server's clock and the listener's: where they differ by more than
// Message.Expires, casts that expire may be dropped too early or run too late. Dropped ones are logged.
//
// # Goroutines
//
// Per connection: those of nats.go, one for its callbacks, one that writes to the socket, and one keeper, which
// rebuilds queues after the connection came back, renews the claim on unsettled casts, and re-opens pulls. Listeners have none:
// what comes in for them is put into their backlogs, without blocking, by the goroutine in which nats.go reads; replies are handed to their callers
// there.
// [Conn.Close] waits for all of them.
//
// nats.go connects, says who we are, keeps the connection alive, and asks JetStream to make streams and consumers. Messages pass it by: package
// files reader.go, socket.go and subscribe.go, and docs/adr/0033.
package nats
