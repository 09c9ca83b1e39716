package config_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/goslo/goslo/config"
)

// ShopOptions are what the shop's operator can set.
type ShopOptions struct {
	Host string `config:"host" default:"shop-1" type:"host" help:"The name of this service."`
	API  struct {
		Workers  int           `config:"workers,flag" short:"w" default:"4" min:"1" max:"64" help:"How many requests run at once."`
		Timeout  time.Duration `config:"timeout,mutable" default:"60" help:"How long a request may take."`
		Password config.Secret `config:"password" help:"The password of the service user."`
	} `config:"api" help:"The HTTP side."`
}

func Example() {
	file, remove := exampleFile(`
[DEFAULT]
host = ctl-1

[api]
timeout = 5
password = correct horse
`)
	defer remove()

	conf, err := config.Load(config.Source{Prog: "shop-api", Args: []string{"--config-file", file, "-w", "8"}}, ShopOptions{})
	if errors.Is(err, flag.ErrHelp) { // --help and --version: the text is the answer
		fmt.Print(err)
		return
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	options := conf.Get()
	fmt.Println(options.Host, options.API.Workers, options.API.Timeout, options.API.Password)
	// Output: ctl-1 8 5s ***
}

func ExampleLoad_errors() {
	file, remove := exampleFile(`[api]
workers = 100
timeout = soon
`)
	defer remove()

	_, err := config.Load(config.Source{Files: []string{file}}, ShopOptions{})
	for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
		var p *config.Problem
		if errors.As(err, &p) {
			fmt.Printf("%s: [%s] %s = %q is %s\n", filepath.Base(p.Position), p.Group, p.Option, p.Value, p.Reason)
		}
	}
	// Output:
	// shop.conf:2: [api] workers = "100" is not from 1 to 64
	// shop.conf:3: [api] timeout = "soon" is neither a number of seconds nor a duration such as 1m30s
}

func ExampleConfig_Reload() {
	file, remove := exampleFile("[api]\ntimeout = 5\n")
	defer remove()
	conf, err := config.Load(config.Source{Files: []string{file}}, ShopOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	conf.OnChange(func(old, now *ShopOptions) {
		fmt.Println("timeout:", old.API.Timeout, "is now", now.API.Timeout)
	})

	if err := os.WriteFile(file, []byte("[api]\ntimeout = 10\nworkers = 2\n"), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	changes, err := conf.Reload() // which Run does on SIGHUP, and when a file changes
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range changes {
		fmt.Printf("[%s] %s: %s -> %s, restart needed: %v\n", c.Group, c.Name, c.Old, c.Value, c.Restart)
	}
	fmt.Println(conf.Get().API.Workers)
	// Output:
	// timeout: 5s is now 10s
	// [api] workers: 4 -> 2, restart needed: true
	// [api] timeout: 5 -> 10, restart needed: false
	// 4
}

func ExampleSample() {
	type options struct {
		Workers  int           `config:"workers" default:"4" min:"1" help:"How many requests run at once."`
		Timeout  time.Duration `config:"timeout,mutable" default:"60" help:"How long a request may take."`
		Password config.Secret `config:"password" help:"The password of the service user."`
	}
	if err := config.Sample(os.Stdout, options{}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// [DEFAULT]
	//
	// # How many requests run at once. (integer value)
	// # Minimum value: 1
	// #workers = 4
	//
	// # How long a request may take. (duration in seconds)
	// # Note: This option can be changed without restarting.
	// #timeout = 60
	//
	// # The password of the service user. (string value)
	// #password = <None>
}

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

// exampleFile makes a file in a folder of its own, and what removes it.
func exampleFile(text string) (path string, remove func()) {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	path = filepath.Join(dir, "shop.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		panic(err)
	}
	return path, func() { _ = os.RemoveAll(dir) }
}
