package messaging_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/config/messaging"
)

func Example() {
	type options struct {
		messaging.Options
		Host string `config:"host" default:"localhost" help:"The name of this service."`
	}
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "shop.conf")
	text := `[DEFAULT]
host = ctl-1
transport_url = rabbit://openstack:${oslo_messaging_rabbit.processname}@$host/
rpc_response_timeout = 180
[oslo_messaging_rabbit]
rabbit_quorum_queue = true
processname = shop
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	conf, err := config.Load(config.Source{Files: []string{path}}, options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	o := conf.Get()
	fmt.Println(o.TransportURL, o.TransportURL.Reveal())
	fmt.Println(o.ControlExchange, o.ResponseTimeout, o.Rabbit.QuorumQueue, o.Rabbit.HeartbeatThreshold)
	// Output:
	// *** rabbit://openstack:shop@ctl-1/
	// openstack 180 true 60
}
