// Package memory is a message bus inside the process: the reference of the seam in package transport, for
// tests, for examples, and for programs that talk only to themselves. It is oslo.messaging's "fake" driver.
//
// It behaves as RabbitMQ does with oslo's topology. A topic's queue, and the queue of each of its servers,
// exist from the first listener on and keep what is sent while nobody listens; they are bounded only by
// memory. Fanout and reply queues come and go with their listener. A message is handed over when Next asks
// for it, never ahead of that. Unlike the fake driver it refuses requests to a topic that never had a
// listener (upstream keeps them, FAKE-07), and closing one transport leaves the others alone (FAKE-10).
//
// The package owns no goroutine and no timer, so that everything over it runs in virtual time inside
// testing/synctest. One lock guards a whole bus; it is never held while something blocks.
package memory
