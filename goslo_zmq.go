//go:build zmq

package goslo

import (
	"context"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/zmq"
)

// zmqGroup is where oslo.messaging's driver for ZeroMQ has its options.
const zmqGroup = "oslo_messaging_zmq"

// zmqStray begin the names of its options that stood in [DEFAULT] before they had a group.
var zmqStray = []string{"rpc_zmq_", "zmq_", "rpc_poll_timeout", "rpc_cast_timeout", "use_pub_sub", "use_router_proxy"}

// planZMQ is a plan for ZeroMQ.
func (c Config) planZMQ(u *transport.URL) (plan, error) {
	settings, err := c.settings(zmqGroup, zmqStray...)
	if err != nil {
		return plan{}, &ConfigError{err}
	}
	z := zmq.Config{URL: u, Settings: settings, Program: c.Program, Exchange: c.Exchange, Logger: c.Logger}
	open := func(ctx context.Context) (transport.Transport, error) { return opened(zmq.Open(ctx, z)) }
	return plan{open, z.Check}, nil
}
