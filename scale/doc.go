// Package scale measures what grows: servers in a process, outstanding calls, hosts on a broker, listeners of a fanout, payloads, callers,
// and time.
//
// It holds nothing but tests. TestScale runs a small version of everything, and asserts what does not depend on the machine: how many
// connections, channels, queues and goroutines there are, that everything was answered, that nothing was left on the broker. With
// -scale.full, which is what `make scale` does, it runs the sizes of docs/scale.md, and writes that page's tables and charts. The
// flags that begin with scale. narrow it.
//
// # The parts
//
//	idle     servers in one process, and calls that wait in it
//	agents   compute hosts that do what nova's do, ours and Python's, on one RabbitMQ
//	fanout   one cast to all servers
//	payload  calls with arguments of 64 B to 8 MiB
//	callers  what a call costs as callers grow
//	flat     memory and goroutines after minutes at full load
//
// # Processes and goroutines
//
// Compute hosts run in other processes: copies of this test binary, or a Python program that forks one for each host. They take orders
// as lines of JSON on their standard input and end with it. Goroutines are awaited by whoever starts them; goleak looks at the end.
package scale
