// Package amqp1 is the transport for AMQP 1.0, "amqp://" and "qpid://" URLs, wire-compatible with oslo.messaging's
// amqp1 driver: the same addresses, links and messages, so that Go and Python peers serve and call each other through
// qpidd, the dispatch router, or any other broker that knows addresses on demand.
//
// It owns one connection per process, its reconnection, and its links. It does not own deadlines, pairing of replies,
// heartbeats of calls, duplicates: package rpc does. Bodies are package wire's.
//
// # Where things are
//
//	config.go   what there is to configure; options.go the options of [oslo_messaging_amqp], in the URL or in files;
//	            hosts.go where to connect; login.go as whom, and certificates
//	dial.go     one connection
//	conn.go     keeps a connection up, and is the transport
//	mux.go      what is the library's on a connection, and what ours; socket.go writes that never block
//	link.go     links whose messages are ours: outlet.go those out, inlet.go those in
//	frames.go   frames; values.go AMQP's types
//	topology.go addresses; product.go what is known of brokers by their product
//	message.go  messages, between our form and AMQP's
//	send.go     Send; sender.go links that carry messages out; trunk.go those of RabbitMQ, and which queues it has; patience.go
//	            contexts that end by themselves
//	listen.go   Listen and Next; receiver.go links that bring messages in; settle.go what becomes of them
//	inspect.go  what the broker tells about itself
//
// go-amqp connects, logs in, keeps the connection alive, and opens and closes sessions and links. Messages pass it by; see docs/adr/0034.
//
// # Links
//
// Each link has a session of its own, as with oslo.messaging: what a broker refuses ends one link only. Messages go out
// on one link for each address, kept until it was unused for default_sender_link_timeout; on RabbitMQ, to which each session is
// dear, on one for all queues and one for all fanouts. A server has three links in, for itself, its topic and its topic's fanouts,
// a listener for notifications one.
//
// Replies come to a dynamic address, which is the broker's to name and goes with the connection: a call that waits
// for its reply when the connection breaks does not get it. Later calls that name the former address are sent with the
// present one. RabbitMQ, which has no dynamic addresses, gets a named queue, which outlives the connection.
//
// # What happens to a message when something breaks
//
// A message that did not leave waits for the next connection, as long as its context allows. One that left, and of
// which the broker has not said what became of it, is transport.ErrInDoubt and never sent again. One that the broker
// gave back (released) is sent again. Messages that are sent settled (option pre_settled: by default replies) are not
// answered for by anybody.
//
// # Goroutines
//
// Per connection: go-amqp's reader and writer, the socket's writer, the one that keeps it up, and one for each link that is being
// attached or detached, and for each queue that RabbitMQ is being asked about. Per link: two of go-amqp's and, of a link in, one that waits for its end; no message wakes
// them. What arrives is taken in go-amqp's reader, and replies are handed to their callers there. All of them end with
// Close, which waits for ours. None of them waits for another's consumer: what arrives is bounded by the
// credit of its link.
package amqp1
