// Package compare measures Goslo beside what it is compared with, all doing the same work in turns on one machine and one broker: bare clients
// of the same bus, Python's oslo.messaging, NATS's micro services, gRPC. It holds tests only.
//
//	make compare                        everything, less than 20 minutes with its set-up
//	make compare GROUPS='rabbit zmq'    some of it
//	go test ./compare                   a look at whether it all works, in seconds; its figures are worth nothing
//
// A full run adds what it found to docs/benchmarks/results.json, and writes the generated parts of docs/benchmarks.md and README.md and the
// charts anew from that file. The figures of groups that it did not run stay, with their dates.
//
// Rounds and contenders: in a round each contender works for a while, one after the other; who begins changes from round to round. What is
// compared is the ratio of two contenders within a round, since the machine is the same then. Tables have the median of the ratios, and an
// interval that holds the true median with at least 95 % confidence, whatever the distribution: its ends are two of the ratios, by the sign
// test (order statistics).
//
// Goroutines: those of the contenders, which end with the test of their group.
package compare
