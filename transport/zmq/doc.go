// Package zmq carries RPC, and notifications to those who listen now, over ZeroMQ: "zmq://" URLs. There is no broker: processes
// connect to each other.
//
// Everything in it is behind the build tag zmq, because it needs cgo and libzmq (libzmq3-dev and pkg-config on Debian), and Linux:
//
//	go build -tags zmq ./...
//
// It owns the sockets of a process, the streams over them, the delivery of each request to one server that takes it, and the
// directory that tells who serves what. It does not pair replies with calls or time anything out: package rpc does.
//
// # Where things are
//
//	config.go     what there is to configure; options.go the options of [oslo_messaging_zmq]
//	conn.go       Open and Close
//	directory.go  what a directory has to tell; directory_*.go those that there are
//	loop.go       the loop that owns the sockets; poll.go how it waits for them; inbox.go how others tell it what to do
//	connect.go    connections to servers: made, lost, resumed, given up; link.go one of them; session.go a client's to us
//	stream.go     frames that arrive once and in order, whatever happens to connections; frame.go their bytes, message.go those of messages
//	send.go       Send: a request goes to one server after the other until one takes it; alarm.go deadlines of those who wait
//	peers.go      the servers that we know, and which of them gets a request
//	listen.go     Listen; next.go Next; settle.go what becomes of deliveries; listeners.go where what comes goes; shed.go gives others what we have no room for
//	reply.go      replies, there and back
//	notify.go     notifications: pools, and one listener of each
//	inspect.go    what is known about an address; meter.go what was counted
//
// # Who connects to whom
//
// Each transport binds one ROUTER, on an ipc socket in rpc_zmq_ipc_dir and, where the directory spans hosts, on a TCP port.
// Clients connect a DEALER to the ROUTER of each server that they send to, and say hello with the number of the last frame that
// they have and with what their reply addresses end with, of which requests have the front alone; the welcome tells where to go on, and what the
// server serves. Answers and replies come back on the same connection. A reply to a caller that is not connected goes to the caller's own ROUTER,
// which its reply address names.
//
// # How a request finds its server
//
// The directory names those that serve the topic; names are compared as they are. Of these the one with the least on its way
// gets it. It answers: taken, when Next's caller has acknowledged; busy, when it has no room or nobody took it for 20 ms;
// nobody, when it does not serve the topic (any more). What was not taken goes to the next one. When three are busy, or all, one
// is told to keep the request, in memory; it offers it to others for as long as it has not got to it.
//
// A request that has left is given to no other server unless the first has refused it. See docs/adr/0020.
//
// # Notifications
//
// A topic's pools are in the directory like its servers, on an exchange beside that of requests. A notification goes to each pool as a request
// to one of its members, which says that it has it as soon as it has, handled or not. See docs/adr/0030.
//
// # Goroutines
//
// Per transport: the loop, one that sheds, one for each server that does not answer while it is being looked for, and
// those of the directory, which are two for each host of Redis. With CURVE there is one more, with a thread of its own, that tells
// libzmq who may connect. libzmq has two threads of its own for each. [Conn.Close] waits for all of them. A fanout has one for
// each server while it is being sent, a notification one for each pool, and before that for each member of a list.
package zmq
