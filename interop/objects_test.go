package interop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/interop"
	"github.com/goslo/goslo/objects"
	"github.com/goslo/goslo/rpc"
)

// meaning is JSON as a peer understands it: 1 is not 1.0, and changes are in no order.
func meaning(t *testing.T, text []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	var order func(v any)
	order = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, element := range v {
				order(element)
			}
		case map[string]any:
			for name, member := range v {
				if changes, ok := member.([]any); ok && name == "shop_object.changes" {
					slices.SortFunc(changes, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
				}
				order(member)
			}
		}
	}
	order(v)
	return v
}

// A verdict is what Python makes of a primitive.
type verdict struct {
	Primitive json.RawMessage
	Changes   []string
	Error     string
}

func pythonReads(t *testing.T, p *interop.Python, text json.RawMessage) verdict {
	t.Helper()
	var v verdict
	p.Do(t, "decode", map[string]any{"primitive": text}, &v)
	return v
}

// Objects that Python makes, and objects that Go makes, are the same after each has read and written them.
func TestObjectsBothWays(t *testing.T) {
	t.Parallel()
	python := startPython(t, "objects.py")
	registry, err := objects.NewRegistry(Item{}, Order{}, OrderList{})
	if err != nil {
		t.Fatal(err)
	}
	compare := func(name string, theirs, ours []byte) {
		t.Helper()
		if diff := gocmp.Diff(meaning(t, theirs), meaning(t, ours)); diff != "" {
			t.Errorf("%s (-Python +Go):\n%s", name, diff)
		}
	}
	for _, sample := range []string{"order", "sparse", "unloaded", "item", "list", "list_empty"} {
		var theirs json.RawMessage
		python.Do(t, "make", map[string]any{"sample": sample}, &theirs)
		object, err := registry.Decode(theirs)
		if err != nil {
			t.Errorf("%s: %v", sample, err)
			continue
		}
		compare(sample, theirs, primitive(object))
		compare(sample+" and back", theirs, pythonReads(t, python, primitive(object)).Primitive)
	}
	note := "x"
	made := &Order{orderFields: orderFields{
		UUID: objects.ReadOnlyOf("00000000-0000-4000-8000-000000000002"), Address: objects.NullableOf(netip.MustParseAddr("192.0.2.7")),
		Network: objects.NullableOf(netip.MustParsePrefix("2001:db8::1/64")), State: objects.Of(orderState("sent")), Tags: objects.Of([]string(nil)),
		Notes: objects.Of(map[string]*string{"a": nil, "b": &note}), Weight: objects.Of(1e-7), Gift: objects.Of(objects.FlexibleBool(true)),
		Card: objects.NullableOf(objects.Sensitive("made-up")), Sizes: objects.Of([][]int{{1}, {}}), First: objects.Null[*Item](),
		Items: objects.Of([]*Item{{Name: objects.Of("a\u2028\"")}}), Shelves: objects.Of(map[string]*Item{"x": {Size: objects.Null[int64]()}}),
		Timestamps: objects.Timestamps{CreatedAt: objects.NullableOf(time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", -9000)))},
	}}
	if err := objects.SetDefaults(made); err != nil {
		t.Fatal(err)
	}
	list := &OrderList{List: objects.ListOf(made)}
	for name, object := range map[string]any{"made in Go": made, "a list made in Go": list} {
		v := pythonReads(t, python, primitive(object))
		if v.Error != "" {
			t.Errorf("%s: Python refuses it: %s: %s", name, v.Error, primitive(object))
			continue
		}
		compare(name, v.Primitive, primitive(object))
	}
	ours, err := objects.Changes(made)
	slices.Sort(ours)
	if theirs := pythonReads(t, python, primitive(made)).Changes; err != nil || !slices.Equal(ours, theirs) {
		t.Errorf("changes: %v, %v; Python: %v", ours, err, theirs)
	}
}

// Values are taken and refused as upstream does, and the same is made of them.
func TestObjectValuesAsUpstream(t *testing.T) {
	t.Parallel()
	python := startPython(t, "objects.py")
	frame := func(version, data string) json.RawMessage {
		return json.RawMessage(`{"shop_object.name":"Order","shop_object.namespace":"shop","shop_object.version":"` + version + `","shop_object.data":` + data + `}`)
	}
	item := func(version, data string) string {
		return strings.Replace(string(frame(version, data)), `"Order"`, `"Item"`, 1)
	}
	var all []json.RawMessage
	for _, data := range []string{
		`"count":" 7 "`, `"count":7.9`, `"count":-7.9`, `"count":true`, `"count":null`, `"count":"x"`, `"count":[]`, `"count":"1.5"`,
		`"weight":1`, `"weight":"2.5"`, `"weight":1e22`, `"weight":123456789.125`, `"weight":-0.0`, `"weight":true`, `"weight":"x"`, `"weight":null`,
		`"paid":"false"`, `"paid":0`, `"paid":""`, `"paid":{}`, `"paid":[0]`, `"paid":null`, `"gift":"false"`, `"gift":" On"`, `"gift":1`, `"gift":2`, `"gift":null`,
		`"state":"open"`, `"state":"lost"`, `"state":null`, `"tags":["a",5,true]`, `"tags":["a",null]`, `"tags":"abc"`, `"tags":[]`,
		`"notes":{"a":null,"b":5}`, `"notes":[]`, `"card":5`, `"card":[]`, `"uuid":"00000000-0000-4000-8000-000000000001"`, `"uuid":null`,
		`"address":"10.0.0.1"`, `"address":"::1.2.3.4"`, `"address":"::102:0"`, `"address":"::ffff:1.2.3.4"`, `"address":"1::"`, `"address":"fe80::1%1"`, `"address":"x"`, `"address":null`,
		`"network":"10.0.0.5/24"`, `"network":"10.0.0.5"`, `"network":"::/0"`, `"network":"10.0.0.5/33"`, `"network":"::1.2.3.4/96"`,
		`"created_at":"2026-01-02T03:04:05Z"`, `"created_at":"2026-01-02 03:04"`, `"created_at":"20260102T030405+0130"`, `"created_at":"2026-01-02"`, `"created_at":"2026"`,
		`"created_at":"2026-01-02T03:04:05-03"`, `"created_at":"2026-01-02T03:04:05,5+00:00"`, `"created_at":"2026-01-02T03"`, `"created_at":"2026-01-02T03:04:05 +01:00"`, `"created_at":"now"`, `"created_at":null`,
		`"sizes":[[1],[2]]`, `"sizes":[1]`, `"first":` + item("1.0", `{"name":"a"}`), `"first":` + item("1.2", `{}`), `"first":` + item("1.1.5", `{}`) + `,"count":1`, `"first":null`, `"first":5`,
		`"items":[` + item("1.1", `{"size":null}`) + `]`, `"items":[` + item("2.0", `{}`) + `]`, `"items":[null]`, `"shelves":{"a":null}`, `"shelves":{"a":` + item("1.1", `{}`) + `}`, `"shelves":[]`,
		`"first":` + string(frame("1.2", "{}")),
	} {
		all = append(all, frame("1.2", "{"+data+"}"))
	}
	for _, version := range []string{"1.0", "1.1.7", "1.2.1", "1.3", "2.0", "0.9"} {
		all = append(all, frame(version, `{"count":4}`))
	}
	all = append(all, json.RawMessage(strings.Replace(string(frame("1.2", "{}")), `"shop"`, `"other"`, 1)), json.RawMessage(`{"shop_object.name":"Order"}`))
	var differences []string
	for _, text := range all {
		theirs := pythonReads(t, python, text)
		var order Order
		err := json.Unmarshal(text, &order)
		if (err == nil) != (theirs.Error == "") {
			differences = append(differences, string(text))
			t.Logf("%s\nGo: %v\nPython: %s", text, err, theirs.Error)
			continue
		}
		var version *objects.VersionError
		if err != nil {
			if errors.As(err, &version) != (theirs.Error == "IncompatibleObjectVersion") {
				t.Errorf("%s\nGo: %v\nPython: %s", text, err, theirs.Error)
			}
			continue
		}
		if diff := gocmp.Diff(meaning(t, theirs.Primitive), meaning(t, primitive(order))); diff != "" {
			t.Errorf("%s (-Python +Go):\n%s", text, diff)
		}
	}
	want := []string{
		string(frame("1.2", `{"tags":"abc"}`)),                              // a list of letters in Python
		string(frame("1.2", `{"first":`+item("1.1.5", `{}`)+`,"count":1}`)), // a third number is forgiven in objects within, too
	}
	if diff := gocmp.Diff(want, differences); diff != "" {
		t.Errorf("taken by one, refused by the other (-known +found):\n%s", diff)
	}
}

// Both write the same for older peers, and ask for the same versions.
func TestObjectBackportsAsUpstream(t *testing.T) {
	t.Parallel()
	python := startPython(t, "objects.py")
	for _, sample := range []string{"order", "sparse"} {
		var text json.RawMessage
		python.Do(t, "make", map[string]any{"sample": sample}, &text)
		for _, target := range []string{"1.0", "1.1", "1.2", "1.3", "x"} {
			for _, versions := range []map[string]string{nil, {"Order": target}, {"Order": target, "Item": "1.0"}, {"Order": target, "Item": "1.1"}} {
				var theirs verdict
				python.Do(t, "backport", map[string]any{"primitive": text, "target": target, "versions": versions}, &theirs)
				var order Order
				if err := json.Unmarshal(text, &order); err != nil {
					t.Fatal(err)
				}
				ours, err := objects.Backport(&order, target, versions)
				if (err == nil) != (theirs.Error == "") {
					t.Errorf("%s to %s, %v: %v; Python: %s", sample, target, versions, err, theirs.Error)
				}
				if err != nil || theirs.Error != "" {
					continue
				}
				if diff := gocmp.Diff(meaning(t, theirs.Primitive), meaning(t, ours)); diff != "" {
					t.Errorf("%s to %s, %v (-Python +Go):\n%s", sample, target, versions, diff)
				}
			}
		}
	}
	ours, err := objects.Versions[OrderList]()
	var theirs map[string]string
	python.Do(t, "tree", map[string]any{"name": "OrderList"}, &theirs)
	if diff := gocmp.Diff(theirs, ours); err != nil || diff != "" {
		t.Errorf("versions: %v (-Python +Go):\n%s", err, diff)
	}
}

// Objects are arguments and results of real calls, either way; and Python asks a Go conductor for an older one when it gets one that is too new.
func TestObjectsOverRPC(t *testing.T) {
	t.Parallel()
	w := inTown(t)
	python := startPython(t, "objects.py")
	topic, conductor := "objects_python", "objects_go"
	backports := make(chan objects.BackportArgs, 4)
	registry, err := objects.NewRegistry(Item{}, newOrder{}, OrderList{})
	if err != nil {
		t.Fatal(err)
	}
	restock := func(_ context.Context, args restockArgs) (*Order, error) {
		args.Order.Count.Set(args.Order.Count.Get() + 1)
		args.Order.First.Get().Name.Set("LAMP")
		return args.Order, nil
	}
	server := rpc.NewServer(w.bus, rpc.ServerConfig{Target: rpc.Target{Topic: conductor}, Server: "one"},
		rpc.NewCall[restockArgs, *Order](rpc.Target{}, "restock").Handle(restock),
		rpc.NewCall[objects.BackportArgs, json.RawMessage](rpc.Target{}, "object_backport_versions").Handle(
			func(_ context.Context, args objects.BackportArgs) (json.RawMessage, error) {
				backports <- args
				return registry.Backport(args)
			}))
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := server.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	end := run(server)
	defer func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	}()
	python.Do(t, "start", map[string]any{"url": w.url, "topic": topic, "conductor": conductor}, nil)

	var sample json.RawMessage
	python.Do(t, "make", map[string]any{"sample": "order"}, &sample)
	var order Order
	if err := json.Unmarshal(sample, &order); err != nil {
		t.Fatal(err)
	}
	// Go calls Python.
	got, err := rpc.NewCall[rpc.Args, *Order](rpc.Target{Topic: topic}, "restock").Call(ctx, w.caller, rpc.Args{"order": &order})
	if err != nil {
		t.Fatal(err)
	}
	want := order
	if _, err := restock(ctx, restockArgs{&want}); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(meaning(t, primitive(want)), meaning(t, primitive(got))); diff != "" {
		t.Errorf("Python's answer (-want +got):\n%s", diff)
	}
	// Python calls Go.
	var answer struct {
		Type      string
		Primitive json.RawMessage
	}
	python.Do(t, "restock", map[string]any{"url": w.url, "topic": conductor}, &answer)
	if diff := gocmp.Diff(meaning(t, primitive(want)), meaning(t, answer.Primitive)); diff != "" || answer.Type != "Order" {
		t.Errorf("Go's answer is a %s (-want +got):\n%s", answer.Type, diff)
	}
	// Objects within plain data.
	var args deskAll
	args.Orders.Of = []any{&order, &Order{orderFields: orderFields{State: objects.Of(orderState("sent"))}}}
	open, err := rpc.NewCall[deskAll, deskAnswer](rpc.Target{Topic: topic}, "all").Call(ctx, w.caller, args)
	if err != nil || len(open.Orders.All()) != 1 || open.Orders.All()[0].UUID.Get() != order.UUID.Get() {
		t.Errorf("open orders: %v, %v", open.Orders, err)
	}
	// A version that Python does not know.
	fresh := &newOrder{orderFields: want.orderFields, Rush: objects.Of(true)}
	got, err = rpc.NewCall[restockNew, *Order](rpc.Target{Topic: topic}, "restock").Call(ctx, w.caller, restockNew{fresh})
	if err != nil || got.Count.Get() != fresh.Count.Get()+1 {
		t.Errorf("a newer order: %v, %v", got, err)
	}
	select {
	case asked := <-backports:
		if diff := gocmp.Diff(map[string]string{"Order": "1.2", "Item": "1.1"}, asked.Versions); diff != "" {
			t.Errorf("Python asks for (-want +got):\n%s", diff)
		}
	default:
		t.Error("Python did not ask for an older order")
	}
}
