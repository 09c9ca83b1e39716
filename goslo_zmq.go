//go:build zmq

package goslo

import (
	"context"
	"slices"
	"strings"

	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/zmq"
)

// zmqGroup is where oslo.messaging's driver for ZeroMQ has its options.
const zmqGroup = "oslo_messaging_zmq"

// zmqStray begin the names of its options that stood in [DEFAULT] before they had a group.
var zmqStray = []string{"rpc_zmq_", "zmq_"}

// planZMQ is a plan for ZeroMQ.
func (c Config) planZMQ(u *transport.URL) (plan, error) {
	var settings []transport.Setting
	for _, group := range []string{config.Default, zmqGroup} {
		for _, name := range c.Files.Names(group) {
			stray := group == config.Default
			if stray && !slices.ContainsFunc(zmqStray, func(p string) bool { return strings.HasPrefix(name, p) }) {
				continue
			}
			s, err := setting(c.Files, group, name)
			if err != nil {
				return plan{}, &ConfigError{err}
			}
			s.Stray = stray
			settings = append(settings, s)
		}
	}
	z := zmq.Config{URL: u, Settings: settings, Program: c.Program, Exchange: c.Exchange, Logger: c.Logger}
	open := func(ctx context.Context) (transport.Transport, error) { return opened(zmq.Open(ctx, z)) }
	return plan{open, z.Check}, nil
}
