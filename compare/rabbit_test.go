package compare_test

import (
	"strings"
	"testing"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/workload"
)

// rabbitNode is the one RabbitMQ of a run.
func rabbitNode(t *testing.T, m *machine) *brokertest.RabbitNode {
	t.Helper()
	node := brokertest.RabbitAMQP1(t)
	noteRabbit(t, m, node)
	m.module("amqp091-go", "github.com/rabbitmq/amqp091-go")
	return node
}

func noteRabbit(t *testing.T, m *machine, node *brokertest.RabbitNode) {
	t.Helper()
	m.note("RabbitMQ", strings.Trim(node.Eval(t, "rabbit_misc:version()"), `"`))
	m.note("Erlang", strings.Trim(node.Eval(t, "erlang:system_info(otp_release)"), `"`))
}

// startRabbit has Goslo, bare amqp091-go echoes of the same bytes with no promise, with a call's promises at their cheapest and with all that a call does on the
// wire, and Python's oslo.messaging; for casts, deferred confirms of bare amqp091-go.
func startRabbit(t *testing.T, m *machine) []contest {
	t.Helper()
	node := rabbitNode(t, m)
	m.python(t, "Python", "oslo.messaging", "kombu")
	goslo, bare := workload.NewPair(t, node.URL()), newBareEcho(t, node.URL(), none)
	return []contest{
		{work: "call", callers: allCallers(), node: node, contenders: []contender{
			inProcess("goslo", goslo.Call),
			inProcess("bare", bare.call),
			inProcess("bare-safe", newBareEcho(t, node.URL(), safe).call),
			inProcess("bare-same", newBareEcho(t, node.URL(), same).call),
			newPythonEcho(t, node.URL()),
		}},
		{work: "cast", callers: allCallers(), node: node, contenders: []contender{
			until(inProcess("goslo", goslo.Cast), goslo.Settled),
			until(inProcess("bare", bare.cast), bare.settled),
		}},
	}
}

// until is c with a condition for what it has sent.
func until(c contender, settled func() bool) contender {
	c.settled = settled
	return c
}

// startAMQP1 has Goslo, bare go-amqp echoes of the same bytes, without any guarantee and with those of a call, and Python's oslo.messaging on two
// brokers. Proton's gives reply addresses, and is slow; RabbitMQ gives none, so that Python's driver does not work there.
func startAMQP1(t *testing.T, m *machine) []contest {
	t.Helper()
	rabbit, proton := brokertest.RabbitAMQP1(t), brokertest.NewProton(t)
	noteRabbit(t, m, rabbit)
	m.module("go-amqp", "github.com/Azure/go-amqp")
	m.python(t, "Python", "oslo.messaging", "Qpid Proton")
	return []contest{
		{work: "call on RabbitMQ", callers: allCallers(), node: rabbit, contenders: []contender{
			inProcess("goslo", workload.NewPair(t, rabbit.AMQP1URL()).Call),
			inProcess("bare", newBareAMQP1(t, rabbit.AMQP1URL(), "plain", "bare.replies", false).call),
			inProcess("bare-safe", newBareAMQP1(t, rabbit.AMQP1URL(), "safe", "bare.replies.safe", true).call),
		}},
		{work: "call on Proton's broker", callers: allCallers(), node: proton, contenders: []contender{
			inProcess("goslo", workload.NewPair(t, proton.URL()).Call),
			inProcess("bare", newBareAMQP1(t, proton.URL(), "plain", "", false).call),
			inProcess("bare-safe", newBareAMQP1(t, proton.URL(), "safe", "", true).call),
			newPythonEcho(t, proton.URL()),
		}},
	}
}

// startMemory has Goslo without a bus, and gRPC, both in one process.
func startMemory(t *testing.T, m *machine) []contest {
	t.Helper()
	m.module("grpc-go", "google.golang.org/grpc")
	return []contest{{work: "call", callers: allCallers(), contenders: []contender{
		inProcess("goslo", workload.NewPair(t, "memory://compare/").Call),
		inProcess("grpc", newGRPC(t).call),
	}}}
}
