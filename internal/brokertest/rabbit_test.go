package brokertest_test

import (
	"testing"

	"github.com/goslo/goslo/internal/brokertest"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

func TestSharedNode(t *testing.T) {
	t.Parallel()
	n := brokertest.Rabbit(t)
	t.Logf("started in %v", n.StartedIn)
	v := n.NewVhost(t)
	t.Log(n.ListQueues(t, v), n.ListExchanges(t, v), n.ListBindings(t, v), n.ListConnections(t))
	t.Log(n.Eval(t, "1+1"))
}
