package service

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
)

// A Manager is what a service does, as in OpenStack: the methods that others call. It may have further methods:
//
//	InitHost(ctx context.Context) error   called once the server is up: nova's init_host
//	Tasks() []*Task                       started after that: what oslo.service calls periodic tasks
type Manager interface {
	Endpoints() []rpc.Endpoint
}

// Params are what the convention of OpenStack's Service.create decides, where they are empty.
type Params struct {
	// Binary is the program's name. Default: the last element of os.Args[0].
	Binary string
	// Topic is what the server listens on. Default: Binary without what stands before its first "-": that of nova-compute is compute.
	Topic string
	// Host is the server's name on the topic. Default: os.Hostname().
	Host string
	// Server is everything else. Its Target's Topic and its Server are those above.
	Server rpc.ServerConfig
}

// Create makes the runners of a manager: its server, its InitHost, its tasks, in this order.
func Create(bus transport.Transport, p Params, m Manager) ([]Runner, error) {
	if p.Binary == "" {
		p.Binary = filepath.Base(os.Args[0])
	}
	if p.Topic == "" {
		p.Topic = p.Binary
		if _, after, found := strings.Cut(p.Binary, "-"); found {
			p.Topic = after
		}
	}
	if p.Host == "" {
		var err error
		if p.Host, err = os.Hostname(); err != nil {
			return nil, fmt.Errorf("service: create %s: the host has no name, set Params.Host: %w", p.Binary, err)
		}
	}
	p.Server.Target.Topic, p.Server.Server = p.Topic, p.Host
	runners := []Runner{rpc.NewServer(bus, p.Server, m.Endpoints()...)}
	if i, ok := m.(interface {
		InitHost(ctx context.Context) error
	}); ok {
		runners = append(runners, Hook("init_host", i.InitHost))
	}
	if t, ok := m.(interface{ Tasks() []*Task }); ok {
		for _, task := range t.Tasks() {
			runners = append(runners, task)
		}
	}
	return runners, nil
}
