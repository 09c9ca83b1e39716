// Package brokertest starts private, real brokers for tests, and breaks them.
//
// [Rabbit] is a rabbitmq-server that the tests of one binary share; [NewRabbit] is one of a test's own,
// which it may kill, pause and restart, and [BorrowRabbit] one that the next test gets; [NewCluster] is several that are one. With [AMQP1Plugin] they speak
// AMQP 1.0 as well, and [RabbitAMQP1] shares one that does. [NewNATS], [NewProton] and [NewRedis] start a
// nats-server, the AMQP 1.0 broker of Apache Qpid Proton, and a redis-server, each of a test's own. [Keystone] is OpenStack's
// identity service, which the tests of one binary share. [NewProxy]
// stands between a client and any of them and plays the broken network. Every one of them lives on random loopback ports, in a folder of its own under the temporary folder, and no test
// touches a broker that it did not start. A missing program fails the test with the command that installs it.
//
// The package owns the processes and their end: each is killed by its process id when the test, or the test
// binary, ends. A test binary that dies without a word takes them along, because the kernel kills them with
// it (PR_SET_PDEATHSIG); what is left of its folder is removed by the next run. Therefore the package needs
// Linux (elsewhere it builds, and starts nothing), and a TestMain that calls [Main].
//
// Goroutines: one per process, locked to its thread and waiting for the process to end; three per connection
// through a proxy, and one that accepts. All have ended when the test's cleanup has.
package brokertest
