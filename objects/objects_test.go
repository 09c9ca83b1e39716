package objects_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/objects"
	"github.com/goslo/goslo/rpc"
)

// A Colour is an enumeration.
type Colour string

func (Colour) Values() []string { return []string{"red", "blue"} }

// A Box has a field of every type. Its base is upstream's own.
type Box struct {
	objects.Object `version:"1.4"`
	Text           objects.Field[string]                  `json:"text"`
	Count          objects.Field[int64]                   `json:"count" default:"3"`
	Small          objects.Field[uint8]                   `json:"small"`
	Ratio          objects.Field[float64]                 `json:"ratio"`
	Open           objects.Field[bool]                    `json:"open"`
	Wide           objects.Field[objects.FlexibleBool]    `json:"wide"`
	At             objects.Nullable[time.Time]            `json:"at"`
	Address        objects.Field[netip.Addr]              `json:"address"`
	Network        objects.Field[netip.Prefix]            `json:"network"`
	Colour         objects.Field[Colour]                  `json:"colour"`
	Words          objects.Field[[]string]                `json:"words"`
	Notes          objects.Field[map[string]*string]      `json:"notes"`
	Inner          objects.Nullable[*Item]                `json:"inner" since:"1.2" relationships:"1.2=1.0 1.4=1.1"`
	Items          objects.Field[[]*Item]                 `json:"items" relationships:"1.0=1.0 1.4=1.1"`
	ByName         objects.Field[map[string]*Item]        `json:"by_name"`
	Any            objects.Nullable[json.RawMessage]      `json:"any"`
	ID             objects.ReadOnly[int]                  `json:"id"`
	Secret         objects.Nullable[objects.Sensitive]    `json:"secret"`
	Deep           objects.Field[[][]map[string][]uint16] `json:"deep"`
}

func (b Box) MarshalJSON() ([]byte, error)     { return objects.Marshal(b) }
func (b *Box) UnmarshalJSON(text []byte) error { return objects.Unmarshal(text, b) }

// An Item is an object within others.
type Item struct {
	objects.Object `version:"1.1"`
	Name           objects.Field[string] `json:"name"`
	Size           objects.Field[int]    `json:"size" since:"1.1"`
}

func (i Item) MarshalJSON() ([]byte, error)     { return objects.Marshal(i) }
func (i *Item) UnmarshalJSON(text []byte) error { return objects.Unmarshal(text, i) }

// box returns a primitive of Box with these data.
func box(version, data string) string {
	return `{"versioned_object.name":"Box","versioned_object.namespace":"versionedobjects","versioned_object.version":"` + version +
		`","versioned_object.data":` + data + `}`
}

func item(version, data, more string) string {
	return `{"versioned_object.name":"Item","versioned_object.namespace":"versionedobjects","versioned_object.version":"` + version +
		`","versioned_object.data":` + data + more + `}`
}

// What is received is coerced as upstream coerces it, and written in upstream's form.
func TestValues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, out string }{ // out "" = the same
		{`"text":"a\n\"\\é<&>"`, ""},
		{`"text":5`, `"text":"5"`},
		{`"text":true`, `"text":"True"`},
		{`"count":" +7 "`, `"count":7`},
		{`"count":7.9`, `"count":7`},
		{`"count":-7.9`, `"count":-7`},
		{`"count":true`, `"count":1`},
		{`"count":null`, `"count":3`}, // the default
		{`"ratio":1`, `"ratio":1.0`},
		{`"ratio":"2.5"`, `"ratio":2.5`},
		{`"ratio":1e+16`, ""},
		{`"ratio":0.0001`, ""},
		{`"ratio":1e-05`, ""},
		{`"open":"false"`, `"open":true`}, // Python's bool
		{`"open":""`, `"open":false`},
		{`"open":0.0`, `"open":false`},
		{`"open":[]`, `"open":false`},
		{`"wide":"false"`, `"wide":false`},
		{`"wide":" YES "`, `"wide":true`},
		{`"wide":1`, `"wide":true`},
		{`"at":null`, ""},
		{`"at":"2026-01-02T03:04:05Z"`, ""},
		{`"at":"2026-01-02T03:04:05+05:30"`, ""},
		{`"at":"2026-01-02T03:04:05+00:00"`, ""},
		{`"at":"2026-01-02T03:04:05.999999Z"`, `"at":"2026-01-02T03:04:05Z"`},
		{`"at":"2026-01-02 03:04:05,5"`, `"at":"2026-01-02T03:04:05Z"`},
		{`"at":"2026-01-02T03:04:05-03"`, `"at":"2026-01-02T03:04:05-03:00"`},
		{`"at":"20260102T030405+0130"`, `"at":"2026-01-02T03:04:05+01:30"`},
		{`"at":"2026-01"`, `"at":"2026-01-01T00:00:00Z"`},
		{`"address":"::1.2.3.4"`, ""},
		{`"address":"::ffff:1.2.3.4"`, ""},
		{`"address":"2001:db8:0:0:1::"`, `"address":"2001:db8:0:0:1::"`},
		{`"network":"10.0.0.5/24"`, ""},
		{`"network":"10.0.0.5"`, `"network":"10.0.0.5/32"`},
		{`"colour":"blue"`, ""},
		{`"words":[]`, ""},
		{`"notes":{"a":null,"b":"c"}`, ""},
		{`"any":{"x":[1,2.50]}`, ""},
		{`"any":null`, ""},
		{`"deep":[[{"a":[1,2]}],[]]`, ""},
		{`"not_declared":{"a":[1]}`, ""},
	} {
		var b Box
		if err := json.Unmarshal([]byte(box("1.4", "{"+c.in+"}")), &b); err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		out, err := json.Marshal(b)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		want := c.out
		if want == "" {
			want = c.in
		}
		if diff := cmp.Diff(meaning(t, []byte(box("1.4", "{"+want+"}"))), meaning(t, out)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.in, diff)
		}
	}
}

// What cannot be read is an error that names the object and the field, and never quotes the value.
func TestRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{box("1.4", `{"count":"swordfish"}`), "objects: Box.count: int64 is required, not a string"},
		{box("1.4", `{"small":256}`), "objects: Box.small: a number does not fit into uint8"},
		{box("1.4", `{"text":null}`), "objects: Box.text: null in a field that cannot be null"},
		{box("1.4", `{"text":[]}`), "objects: Box.text: a string is required, not an array"},
		{box("1.4", `{"at":"yesterday"}`), "objects: Box.at: a date and time such as 2026-01-02T03:04:05Z is required"},
		{box("1.4", `{"address":"fe80::1%eth0"}`), "objects: Box.address: an IP address is required, not a string"},
		{box("1.4", `{"colour":"green"}`), "objects: Box.colour: a value is not one of red, blue"},
		{box("1.4", `{"words":["a",null]}`), "objects: Box.words: [1]: a string is required, not null"},
		{box("1.4", `{"items":[`+item("1.1", "{}", "")+`,null]}`), "objects: Box.items: [1]: null in the place of an object"},
		{box("1.4", `{"by_name":{"a":null}}`), `objects: Box.by_name: ["a"]: null in the place of an object`},
		{box("1.4", `{"items":[`+item("1.2", "{}", "")+`]}`), `objects: Box.items: [0]: version "1.2" of Item is not supported, the version known here is 1.1: have it backported with Registry.Receive, or upgrade this service`},
		{box("1.4", `{"inner":`+box("1.4", "{}")+`}`), "objects: Box.inner: versionedobjects.Item is wanted, not versionedobjects.Box"},
		{box("1.5", `{}`), `objects: version "1.5" of Box is not supported, the version known here is 1.4: have it backported with Registry.Receive, or upgrade this service`},
		{box("2.0", `{}`), `objects: version "2.0" of Box is not supported, the version known here is 1.4: have it backported with Registry.Receive, or upgrade this service`},
		{box("x", `{}`), `objects: version "x" of Box is not supported, the version known here is 1.4: have it backported with Registry.Receive, or upgrade this service`},
		{box("1.4", `[]`), "objects: Box: versioned_object.data: an object is required, not an array"},
		{`{"nova_object.name":"Box"}`, `objects: versionedobjects.Box is wanted, and there is no member "versioned_object.name"`},
		{`[]`, "objects: Box: an object is required, not an array"},
	} {
		var b Box
		if err := json.Unmarshal([]byte(c.in), &b); err == nil || err.Error() != c.want {
			t.Errorf("%s\n got %v\nwant %s", c.in, err, c.want)
		}
	}
	var version *objects.VersionError
	err := json.Unmarshal([]byte(box("1.4", `{"items":[`+item("1.2", "{}", "")+`]}`)), new(Box))
	if !errors.As(err, &version) || version.Object != "Item" || version.Version != "1.2" {
		t.Errorf("the cause is %#v", version)
	}
}

// A caller whose objects are refused sees the class that a Python server's refusal has.
func TestRefusedAcrossTheBus(t *testing.T) {
	t.Parallel()
	type args struct {
		Item *Item `json:"item"`
	}
	target := rpc.Target{Topic: "shop"}
	client := rpc.Local(rpc.NewCall[args, int](target, "count").Handle(func(context.Context, args) (int, error) { return 1, nil }))
	for name, text := range map[string]string{"IncompatibleObjectVersion": item("1.2", "{}", ""), "UnsupportedObjectError": box("1.4", "{}")} {
		_, err := rpc.NewCall[rpc.Args, int](target, "count").Call(t.Context(), client, rpc.Args{"item": json.RawMessage(text)})
		if !errors.Is(err, rpc.ErrorClass{Module: "oslo_versionedobjects.exception", Name: name}) {
			t.Errorf("got %v, want %s", err, name)
		}
	}
}

// A version is kept while an object passes through, and one that differs in its third number is no other version.
func TestVersions(t *testing.T) {
	t.Parallel()
	for received, sent := range map[string]string{"1.0": "1.0", "1.4": "1.4", "1.3.2": "1.3.2", "1.4.1": "1.4"} {
		var b Box
		if err := json.Unmarshal([]byte(box(received, "{}")), &b); err != nil {
			t.Fatal(err)
		}
		out, err := json.Marshal(&b)
		if err != nil || string(out) != box(sent, "{}") {
			t.Errorf("%s is sent on as %s, %v", received, out, err)
		}
	}
}

// Changes are what was set since the object was made or received, as upstream counts them.
func TestChanges(t *testing.T) {
	t.Parallel()
	changes := func(b *Box) string {
		names, err := objects.Changes(b)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(names, " ")
	}
	b := Box{Text: objects.Of("a"), At: objects.Null[time.Time]()}
	if got := changes(&b); got != "text at" {
		t.Errorf("made: %q", got)
	}
	if err := objects.ResetChanges(&b, "text"); err != nil || changes(&b) != "at" {
		t.Errorf("one reset: %q, %v", changes(&b), err)
	}
	if err := objects.ResetChanges(&b, "colour", "texd"); err == nil || err.Error() != "objects: Box.texd: there is no such field" {
		t.Errorf("a name that is none: %v", err)
	}
	b.Inner.Set(&Item{Name: objects.Of("x")})
	b.Items.Set([]*Item{{Name: objects.Of("y")}})
	b.ByName.Set(map[string]*Item{"z": {Name: objects.Of("z")}})
	if err := objects.ResetChanges(&b); err != nil || changes(&b) != "inner" {
		t.Errorf("objects within: %q, %v; want inner, whose object still has changes", changes(&b), err)
	}
	if err := objects.ResetAllChanges(&b); err != nil || changes(&b) != "" || b.Items.Get()[0].Name.Changed() || b.ByName.Get()["z"].Name.Changed() {
		t.Errorf("all reset: %q, %v", changes(&b), err)
	}
	b.Text.Set("a")
	b.At.Unset()
	if got := changes(&b); got != "text" {
		t.Errorf("the same value set again, another taken away: %q", got)
	}
	if err := objects.SetDefaults(&b); err != nil || b.Count.Get() != 3 || changes(&b) != "text count" {
		t.Errorf("defaults: %d, %q, %v", b.Count.Get(), changes(&b), err)
	}
	var received Box
	text := strings.TrimSuffix(box("1.4", `{"text":"a","new":1,"newer":2}`), "}") + `,"versioned_object.changes":["newer","text","nothing"]}`
	if err := json.Unmarshal([]byte(text), &received); err != nil || changes(&received) != "text newer" {
		t.Errorf("received: %q, %v", changes(&received), err)
	}
}

// An unset field is absent, which is not null; a nil slice is an empty array; a read-only field is set once.
func TestFields(t *testing.T) {
	t.Parallel()
	var b Box
	if b.Text.IsSet() || b.At.IsSet() || b.Text.String() != "unset" {
		t.Error("a new object has values")
	}
	b.At.SetNull()
	if _, ok := b.At.Lookup(); ok || !b.At.IsNull() || b.At.String() != "null" {
		t.Error("null is not seen")
	}
	b.Words.Set(nil)
	b.Notes.Set(nil)
	b.Secret.Set("swordfish")
	if text := fmt.Sprintf("%v %+v %s", b, b, &b.Secret); strings.Contains(text, "swordfish") {
		t.Errorf("a secret is printed: %s", text)
	}
	if err := errors.Join(b.ID.Set(4), b.ID.Set(4)); err != nil {
		t.Error(err)
	}
	if err := b.ID.Set(5); !errors.Is(err, objects.ErrReadOnly) || b.ID.Get() != 4 {
		t.Errorf("a read-only field takes another value: %v", err)
	}
	out, err := json.Marshal(b)
	if want := strings.TrimSuffix(box("1.4", `{"at":null,"words":[],"notes":{},"id":4,"secret":"swordfish"}`), "}") +
		`,"versioned_object.changes":["at","words","notes","id","secret"]}`; err != nil || string(out) != want {
		t.Errorf("got  %s, %v\nwant %s", out, err, want)
	}
	b.Inner.Set(nil)
	b.Network.Set(netip.Prefix{})
	if _, err := json.Marshal(b); err == nil || !strings.Contains(err.Error(), "objects: Box.network: an IP network is required") {
		t.Errorf("a network that is none: %v", err)
	}
	for want, b := range map[string]Box{
		"objects: Box.items: [0]: null": {Items: objects.Of([]*Item{nil})}, `objects: Box.by_name: ["a"]: null`: {ByName: objects.Of(map[string]*Item{"a": nil})},
	} {
		if _, err := json.Marshal(b); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// Mistakes in a declaration are errors that say what to do.
func TestDeclarations(t *testing.T) {
	t.Parallel()
	type bare struct {
		objects.Object `version:"1.0"`
	}
	if _, err := json.Marshal(bare{}); err == nil || !strings.Contains(err.Error(), "func (x T) MarshalJSON()") {
		t.Errorf("without methods: %v", err)
	}
	if err := json.Unmarshal([]byte("{}"), &bare{}); err == nil || !strings.Contains(err.Error(), "func (x *T) UnmarshalJSON") {
		t.Errorf("without methods: %v", err)
	}
	if _, err := json.Marshal(struct{ F objects.Field[int] }{}); err == nil {
		t.Error("a field outside of an object is encoded")
	}
	type plain struct {
		objects.Object `version:"1.0"`
		N              int `json:"n"`
	}
	type noVersion struct{ objects.Object }
	type noName struct {
		objects.Object `version:"1.0"`
		N              objects.Field[int]
	}
	type badDefault struct {
		objects.Object `version:"1.0"`
		N              objects.Field[int] `json:"n" default:"one"`
	}
	type byValue struct {
		objects.Object `version:"1.0"`
		I              objects.Field[Item] `json:"i"`
	}
	for want, object := range map[string]objects.Type{
		"objects_test.plain.N: not a Field, Nullable or ReadOnly":         plain{},
		"objects_test.noVersion: no version":                              noVersion{},
		"objects_test.noName.N: no name: a tag such as `json:\"n\"`":      noName{},
		"objects_test.badDefault.N: default: \"one\" is not JSON":         badDefault{},
		"objects_test.byValue.I: an object within another is a pointer: ": byValue{},
	} {
		_, err := objects.NewRegistry(object)
		var declared *objects.TypeError
		if !errors.As(err, &declared) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// Without versions the relationships say how objects within are written, and those of newer fields are dropped.
func TestBackportByRelationships(t *testing.T) {
	t.Parallel()
	b := Box{Text: objects.Of("a"), Inner: objects.NullableOf(&Item{Name: objects.Of("n"), Size: objects.Of(1)}), Items: objects.Of([]*Item{{Size: objects.Of(2)}})}
	changes := `,"versioned_object.changes":["text","inner","items"]`
	within := func(version, inner, items string) string {
		return `{"text":"a","inner":` + item(version, inner, `,"versioned_object.changes":["name","size"]`) +
			`,"items":[` + item(version, items, `,"versioned_object.changes":["size"]`) + `]}`
	}
	for target, want := range map[string]string{
		"1.4": within("1.1", `{"name":"n","size":1}`, `{"size":2}`),
		"1.3": within("1.0", `{"name":"n"}`, `{}`),
		"1.1": `{"text":"a","items":[` + item("1.0", `{}`, `,"versioned_object.changes":["size"]`) + `]}`,
	} {
		out, err := objects.Backport(&b, target, nil)
		if err != nil {
			t.Fatal(err)
		}
		names := changes
		if target == "1.1" {
			names = `,"versioned_object.changes":["text","items"]`
		}
		if want = strings.TrimSuffix(box(target, want), "}") + names + "}"; string(out) != want {
			t.Errorf("%s:\n got %s\nwant %s", target, out, want)
		}
	}
	var target *objects.TargetError
	if _, err := objects.Backport(&b, "1.5", nil); !errors.As(err, &target) {
		t.Errorf("to a newer version: %v", err)
	}
	var partly Box
	if err := json.Unmarshal([]byte(box("1.4", `{"later":1}`)), &partly); err != nil {
		t.Fatal(err)
	}
	if _, err := objects.Backport(&partly, "1.0", nil); !errors.As(err, &target) || !strings.Contains(err.Error(), "field later") {
		t.Errorf("with a field that is not declared: %v", err)
	}
}

// The other side of Receive is Backport of a registry that knows more.
func TestRegistryBackport(t *testing.T) {
	t.Parallel()
	r, err := objects.NewRegistry(Box{}, Item{})
	if err != nil {
		t.Fatal(err)
	}
	full := box("1.4", `{"text":"a","inner":`+item("1.1", `{"name":"n","size":1}`, "")+`}`)
	out, err := r.Backport(objects.BackportArgs{Object: json.RawMessage(full), Versions: map[string]string{"Box": "1.2", "Item": "1.0"}})
	if want := box("1.2", `{"text":"a","inner":`+item("1.0", `{"name":"n"}`, "")+`}`); err != nil || string(out) != want {
		t.Errorf("got  %s, %v\nwant %s", out, err, want)
	}
	var unknown *objects.UnknownError
	if _, err := r.Decode([]byte(`{"versioned_object.name":"Bag","versioned_object.namespace":"x","versioned_object.version":"1.0"}`)); !errors.As(err, &unknown) {
		t.Errorf("an object of no registered class: %v", err)
	}
}

// Encoding and decoding allocate little: what a struct declares is looked at once.
func TestAllocations(t *testing.T) {
	text := golden(t, "instance")
	var i Instance
	if err := json.Unmarshal(text, &i); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := objects.Marshal(i); err != nil {
			t.Error(err)
		}
	}); n > 240 {
		t.Errorf("encoding an Instance: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		if err := objects.Unmarshal(text, new(Instance)); err != nil {
			t.Error(err)
		}
	}); n > 280 {
		t.Errorf("decoding an Instance: %v allocations", n)
	}
}

// Whatever is read is written in a form that is read again as the same.
func FuzzUnmarshal(f *testing.F) {
	for _, data := range []string{
		`{}`, `{"text":"a","count":"7","at":"2026-01-02T03:04:05+05:30","address":"::1.2.3.4","network":"10.0.0.5","open":[],"x":{"y":[]}}`,
		"{\"text\":\"\xff\",\"\xff\":1}",
		`{"inner":` + item("1.1", `{"name":"\u00e9"}`, `,"versioned_object.changes":["name"]`) + `,"items":[],"by_name":{},"ratio":1e5}`,
	} {
		f.Add(box("1.4", data))
		f.Add(box("1.2.3", data))
	}
	r, err := objects.NewRegistry(Box{}, Item{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var b, again Box
		asked := false
		out, err := r.Receive(t.Context(), json.RawMessage(text), func(context.Context, objects.BackportArgs) (json.RawMessage, error) {
			asked = true
			return json.RawMessage("null"), nil
		})
		if err != nil || !asked && string(out) != text || json.Valid([]byte(text)) && !json.Valid(out) {
			t.Fatalf("received as %s, %v", out, err)
		}
		if json.Unmarshal([]byte(text), &b) != nil {
			return
		}
		once, err := json.Marshal(b)
		if err != nil {
			return // such as a time that is out of range in its zone
		}
		if err := json.Unmarshal(once, &again); err != nil {
			t.Fatalf("%v\n%s", err, once)
		}
		twice, err := json.Marshal(again)
		if err != nil || string(once) != string(twice) {
			t.Fatalf("%v\n%s\n%s", err, once, twice)
		}
	})
}
