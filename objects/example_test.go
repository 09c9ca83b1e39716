package objects_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/objects"
	"github.com/goslo/goslo/rpc"
)

// ShopObject is the base of the shop's objects.
type ShopObject struct {
	objects.Object `prefix:"shop_object" namespace:"shop"`
}

// A Sale is an object of the shop's.
type Sale struct {
	ShopObject `version:"1.1"`
	Lamps      objects.Field[int]       `json:"lamps"`
	Note       objects.Nullable[string] `json:"note" since:"1.1"`
}

func (s Sale) MarshalJSON() ([]byte, error)  { return objects.Marshal(s) }
func (s *Sale) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, s) }

// An object is an argument like any other.
func Example() {
	sale := &Sale{Lamps: objects.Of(2)}
	sale.Note.SetNull() // not the same as leaving it unset
	text, err := json.Marshal(rpc.Args{"sale": sale})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(text))

	older, err := objects.Backport(sale, "1.0", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(older))
	// Output:
	// {"sale":{"shop_object.name":"Sale","shop_object.namespace":"shop","shop_object.version":"1.1","shop_object.data":{"lamps":2,"note":null},"shop_object.changes":["lamps","note"]}}
	// {"shop_object.name":"Sale","shop_object.namespace":"shop","shop_object.version":"1.0","shop_object.data":{"lamps":2},"shop_object.changes":["lamps"]}
}

// Of what is received, what is unset, null and changed can be told.
func ExampleUnmarshal() {
	var sale Sale
	err := json.Unmarshal([]byte(`{"shop_object.name": "Sale", "shop_object.namespace": "shop", "shop_object.version": "1.0",
		"shop_object.data": {"lamps": "3"}, "shop_object.changes": ["lamps"]}`), &sale)
	fmt.Println(err, sale.Lamps.Get(), sale.Lamps.Changed(), sale.Note.IsSet(), sale.ReceivedVersion())

	var newer *objects.VersionError
	err = json.Unmarshal([]byte(`{"shop_object.name": "Sale", "shop_object.namespace": "shop", "shop_object.version": "2.0", "shop_object.data": {}}`), &sale)
	fmt.Println(errors.As(err, &newer), newer.Version, newer.Supported)
	// Output:
	// <nil> 3 true false 1.0
	// true 2.0 1.1
}

// A server has objects that are too new for it replaced before its methods see them. Here the one who is asked is a function; with nova
// it is the conductor, and ask is a call of its object_backport_versions.
func ExampleRegistry_Receive() {
	registry, err := objects.NewRegistry(Sale{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ask := func(_ context.Context, args objects.BackportArgs) (json.RawMessage, error) {
		fmt.Println("asked for", args.Versions)
		return json.RawMessage(strings.Replace(string(args.Object), "1.2", "1.1", 1)), nil
	}
	older := func(next rpc.Func) rpc.Func {
		return func(ctx context.Context, r *rpc.Request) (_ json.RawMessage, err error) {
			if r.Args, err = registry.Receive(ctx, r.Args, ask); err != nil {
				return nil, err
			}
			return next(ctx, r)
		}
	}
	type args struct {
		Sale *Sale `json:"sale"`
	}
	shop := rpc.Target{Topic: "shop"}
	count := rpc.NewCall[args, int](shop, "count").Handle(func(_ context.Context, a args) (int, error) { return a.Sale.Lamps.Get(), nil })

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	bus, err := goslo.Open(ctx, "memory://")
	if err != nil {
		fmt.Println(err)
		return
	}
	server := rpc.NewServer(bus, rpc.ServerConfig{Target: shop, Server: "one", Interceptors: []rpc.Interceptor{older}}, count)
	if err := server.Listen(ctx); err != nil {
		fmt.Println(err)
		return
	}
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()

	client := rpc.NewClient(bus, rpc.ClientConfig{})
	out, err := rpc.NewCall[json.RawMessage, int](shop, "count").Call(ctx, client, json.RawMessage(`{"sale": {"shop_object.name": "Sale",
		"shop_object.namespace": "shop", "shop_object.version": "1.2", "shop_object.data": {"lamps": 4}}}`))
	fmt.Println(out, err)
	stop()
	fmt.Println(<-done, client.Close(context.Background()), bus.Close(context.Background()))
	// Output:
	// asked for map[Sale:1.1]
	// 4 <nil>
	// <nil> <nil> <nil>
}
