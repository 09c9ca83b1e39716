package brokertest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Cluster is several nodes that know the same exchanges and queues. Each is killed, paused and restarted by
// itself; those that live go on without it.
type Cluster struct {
	Nodes []*RabbitNode

	// StartedIn is how long it took until all nodes were one cluster.
	StartedIn time.Duration
}

// NewCluster starts a cluster of so many nodes for this test alone, and ends it with the test.
func NewCluster(t testing.TB, size int, o RabbitOptions) *Cluster {
	t.Helper()
	c, err := tryToStart(func() (*Cluster, error) { return startCluster(size, o) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.discard)
	return c
}

func startCluster(size int, o RabbitOptions) (*Cluster, error) {
	began := time.Now()
	c := &Cluster{}
	for range size {
		n, err := makeNode(o)
		if err != nil {
			c.discard()
			return nil, err
		}
		c.Nodes = append(c.Nodes, n)
		n.cookie, n.epmd = c.Nodes[0].cookie, c.Nodes[0].epmd
		if err := n.prepare(); err != nil {
			c.discard()
			return nil, err
		}
	}
	if err := c.start(); err != nil {
		c.discard()
		return nil, err
	}
	c.StartedIn = time.Since(began)
	return c, nil
}

// start starts all nodes at once, and has the others join the first, one after the other: each of them becomes
// a member of what is there.
func (c *Cluster) start() error {
	first := c.Nodes[0]
	if err := first.startMapper(); err != nil {
		return err
	}
	problems := make([]error, len(c.Nodes))
	var all sync.WaitGroup
	for i, n := range c.Nodes {
		all.Go(func() { problems[i] = n.start() })
	}
	all.Wait()
	for _, err := range problems {
		if err != nil {
			return err
		}
	}
	for _, n := range c.Nodes[1:] {
		join := fmt.Sprintf("rabbit:stop(), ok = rabbit_mnesia:join_cluster('%s', disc), ok = rabbit:start().", first.name)
		if _, err := n.control.evalWithin(startLimit, join); err != nil {
			return fmt.Errorf("%s: join %s: %w", n.name, first.name, err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), startLimit)
		err := awaitPort(ctx, n.server, n.port)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// URLVhost is the transport URL that names all nodes, with user guest and the vhost given.
func (c *Cluster) URLVhost(vhost string) string {
	hosts := make([]string, len(c.Nodes))
	for i, n := range c.Nodes {
		hosts[i] = "guest:guest@" + n.Addr()
	}
	return "rabbit://" + strings.Join(hosts, ",") + "/" + vhost
}

// Running is how many nodes the node believes to run, itself among them.
func (n *RabbitNode) Running(t testing.TB) int {
	t.Helper()
	return len(list[string](t, n, `rabbit_json:encode([atom_to_binary(N) || N <- rabbit_mnesia:cluster_nodes(running)]).`))
}

// discard ends the nodes; the first, which has their name service, last.
func (c *Cluster) discard() {
	for i := len(c.Nodes) - 1; i >= 0; i-- {
		c.Nodes[i].discard()
	}
}
