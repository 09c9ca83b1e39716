package goslo_test

import (
	"context"
	"fmt"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/rpc"
)

// A server and a client on one bus. With another URL the same program runs on RabbitMQ or NATS.
func ExampleOpen() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	bus, err := goslo.Open(ctx, "memory://example")
	if err != nil {
		fmt.Println(err)
		return
	}
	target := rpc.Target{Topic: "greeter", Version: "1.0"}
	greet := rpc.NewCall[greetArgs, string](target, "greet")

	server := rpc.NewServer(bus, rpc.ServerConfig{Target: target, Server: "host-1"},
		greet.Handle(func(_ context.Context, args greetArgs) (string, error) { return "hello, " + args.Name, nil }))
	if err := server.Listen(ctx); err != nil {
		fmt.Println(err)
		return
	}
	served := make(chan error)
	go func() { served <- server.Run(ctx) }()

	client := rpc.NewClient(bus, rpc.ClientConfig{})
	fmt.Println(greet.Call(ctx, client, greetArgs{Name: "Ada"}))
	fmt.Println(greet.Call(ctx, client.To("host-9"), greetArgs{Name: "Ada"}))

	stop()
	last := context.Background()
	fmt.Println(<-served, client.Close(last), bus.Close(last))
	// Output:
	// hello, Ada <nil>
	//  rpc: greet: nobody listens on topic "greeter" as server "host-9"
	// <nil> <nil> <nil>
}

type greetArgs struct {
	Name string `json:"name"`
}

// A URL that can never work is told from a bus that is away.
func ExampleConfigError() {
	_, err := goslo.Open(context.Background(), "rabit://guest:guest@localhost:5672/")
	fmt.Println(err)
	// Output:
	// goslo: url rabit://guest:***@localhost:5672/: no transport is called "rabit"; there are rabbit, kombu, nats, nats+tls, amqp, amqps, qpid, kafka, embedded, zmq, zmq+redis, memory, fake; did you mean rabbit://?
}
