package config_test

import (
	"fmt"

	"github.com/goslo/goslo/config"
)

func ExampleFile_Get() {
	f, err := config.Parse("/etc/nova/nova.conf", []byte(`
[DEFAULT]
# where the bus is
transport_url = rabbit://openstack:secret@ctl-1:5672/

[oslo_messaging_rabbit]
ssl = true
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	value, ok := f.Get("oslo_messaging_rabbit", "ssl")
	fmt.Println(value, ok, f.Position("oslo_messaging_rabbit", "ssl"))
	// Output: true true /etc/nova/nova.conf:7
}
