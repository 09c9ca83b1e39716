// Package interop proves Goslo against the real thing: Python programs on oslo.messaging, and a private RabbitMQ
// between or, for AMQP 1.0, the broker of Apache Qpid Proton.
//
// The programs in python/ run clients, servers and load on the library that OpenStack uses, and do what the
// tests order over their standard input, see [Python]. The tests run one table of requests with either
// client against either server: what a client sees must be the same. The rest compares what the two put on the wire and into the broker.
//
// It owns the Python processes, and kills them by their process id. It starts one goroutine per process, that reads its answers.
package interop
