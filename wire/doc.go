// Package wire is oslo.messaging's JSON, both ways: requests, replies, heartbeats, remote failures, notifications and
// the rule for versions.
//
// It turns a [transport.Message] into a body and back, the same for every bus that carries JSON. It owns
// bytes only: no I/O, no state, no goroutine. Addresses, queues and AMQP properties belong to the
// transports, pairing and deadlines to package rpc.
//
// # What is written
//
// A body is an envelope around a message (ENV-01):
//
//	{"oslo.version":"2.0","oslo.message":"{\"method\":\"restock\",\"args\":{\"sku\":7},...}"}
//
// Notifications may do without the envelope, see [AppendNotification].
//
// On AMQP 1.0 a body has another form and no envelope, see [AppendAMQP1].
//
// Text is ASCII with \uXXXX escapes and surrogate pairs, and keys come in the order in which Python
// writes them. Separators are the short ones ("," and ":"), where Python writes a space after each:
// no receiver may depend on that (ENV-17), arguments arrive here in the short form from encoding/json,
// and re-spacing them would cost a pass and a tenth more bytes for nothing that a peer can see.
//
// # What is read
//
// What Python's json module reads: the bare tokens NaN, Infinity and -Infinity anywhere, integers of any
// size, and of a key given twice the last. Arguments, results and context values stay undecoded, so a
// number passes through unchanged. Where a Go string is made of JSON text, a lone surrogate becomes
// U+FFFD, as in encoding/json; within undecoded values its escape stays what it was. A body that is not
// UTF-8 is refused, as Python does; on the way out invalid UTF-8 in a Go string becomes U+FFFD, and in a
// raw value is an error.
//
// A request that upstream answers with an error (no method, args that are no object, a version that is no
// string) is not an error here: it is returned as it came, so that the server can answer it too. A reply
// always reaches its caller: one without its failure field becomes a failure (ENV-11).
//
// Nesting is limited to [MaxDepth] and a body to [MaxSize].
package wire
