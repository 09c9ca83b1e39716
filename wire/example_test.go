package wire_test

import (
	"encoding/json"
	"fmt"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

func ExampleAppendEnvelope() {
	body, err := wire.AppendEnvelope(nil, &transport.Message{
		Method: "restock", Version: "2.1", Args: json.RawMessage(`{"sku":7}`),
		Context: json.RawMessage(`{"user":"ann"}`), UniqueID: "5b0c",
	})
	fmt.Println(string(body), err)
	// Output: {"oslo.version":"2.0","oslo.message":"{\"method\":\"restock\",\"args\":{\"sku\":7},\"version\":\"2.1\",\"_unique_id\":\"5b0c\",\"_context_user\":\"ann\"}"} <nil>
}

func ExampleParse() {
	m, err := wire.Parse([]byte(`{"oslo.version": "2.0", "oslo.message": "{\"method\": \"count\", \"args\": {\"sku\": 7}, \"_context_user\": \"ann\"}"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s %s, version %s, context %s\n", m.Method, m.Args, m.Version, m.Context)

	_, err = wire.Parse([]byte(`{"oslo.version": "3.0", "oslo.message": "{}"}`))
	fmt.Println(err)
	// Output:
	// count {"sku": 7}, version 1.0, context {"user":"ann"}
	// wire: body: byte 17: oslo.version: not the version 2.0 that is read here: 3.0
}

func ExampleParseFailure() {
	f, err := wire.ParseFailure([]byte(`{"class": "OutOfStock", "module": "shop.errors", "message": "none left", "args": ["none left"]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s.%s: %s\n", f.Module, f.Class, f.Message)
	// Output: shop.errors.OutOfStock: none left
}

func ExampleCompatible() {
	for _, requested := range []string{"1.1", "1.3", "2.0", "new"} {
		ok, err := wire.Compatible("1.2", requested)
		fmt.Println(requested, ok, err)
	}
	// Output:
	// 1.1 true <nil>
	// 1.3 false <nil>
	// 2.0 false <nil>
	// new false wire: requested version "new": part "new" is not a whole number
}

func ExampleUnmarshal() {
	var result struct {
		Bytes any
		Load  wire.Float
	}
	err := wire.Unmarshal([]byte(`{"bytes": 123456789012345678901234567890, "load": NaN}`), &result)
	fmt.Println(result.Bytes, result.Load, err)
	// Output: 123456789012345678901234567890 NaN <nil>
}
