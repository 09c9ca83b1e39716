package brokertest

import (
	"slices"
	"testing"
)

// BorrowRabbit returns a node that this test has for itself until it ends, and that it may block, pause, kill and restart, as one of
// [NewRabbit]; but other tests had it before or get it afterwards, which spares the processors most starts. A node that still runs when its test
// ends is made as new: nothing is in its one vhost "/", and guest is its one user. What a test told it by [RabbitNode.Eval] stays, unless the
// test puts it back. o has no TLS.
func BorrowRabbit(t testing.TB, o RabbitOptions) *RabbitNode {
	t.Helper()
	if o.TLS != nil {
		t.Fatal("brokertest: a node with TLS has certificates of its test: take NewRabbit")
	}
	node, err := brokers.borrow(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() || node.renew() != nil || !brokers.takeBack(node) {
			node.discard()
		}
	})
	return node
}

// borrow returns a node of such options that nobody has, or a new one.
func (s *shared) borrow(o RabbitOptions) (*RabbitNode, error) {
	s.mu.Lock()
	if !s.main {
		s.mu.Unlock()
		return nil, errNoMain
	}
	i := slices.IndexFunc(s.idle, func(n *RabbitNode) bool {
		return slices.Equal(n.options.Plugins, o.Plugins) && n.options.Config == o.Config
	})
	if i >= 0 {
		node := s.idle[i]
		s.idle = slices.Delete(s.idle, i, i+1)
		s.mu.Unlock()
		return node, nil
	}
	s.mu.Unlock()
	return newRabbit(o)
}

// takeBack keeps a node for the next who borrows one, and reports whether there can be any.
func (s *shared) takeBack(n *RabbitNode) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.main {
		s.idle = append(s.idle, n)
	}
	return s.main
}

// renew makes a running node as it was after its first start.
func (n *RabbitNode) renew() error {
	if err := n.server.signal(resume); err != nil {
		return err
	}
	_, err := n.control.eval(`
		[rabbit_alarm:clear_alarm(A) || {{resource_limit, _, _} = A, _} <- rabbit_alarm:get_alarms()],
		[rabbit_auth_backend_internal:delete_user(U, <<"brokertest">>) ||
			I <- rabbit_auth_backend_internal:list_users(), {user, U} <- I, U =/= <<"guest">>],
		[rabbit_vhost:delete(V, <<"brokertest">>) || V <- rabbit_vhost:list_names()],
		ok = rabbit_vhost:add(<<"/">>, <<"brokertest">>),
		ok = rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"/">>, <<".*">>, <<".*">>, <<".*">>, <<"brokertest">>).`)
	return err
}
