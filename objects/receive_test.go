package objects_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/objects"
)

// A Crate declares only one of its fields.
type Crate struct {
	objects.Object `version:"1.0"`
	Label          objects.Field[string] `json:"label"`
}

func (c Crate) MarshalJSON() ([]byte, error)     { return objects.Marshal(c) }
func (c *Crate) UnmarshalJSON(text []byte) error { return objects.Unmarshal(text, c) }

func crate(data string) string { return strings.Replace(box("1.0", data), `"Box"`, `"Crate"`, 1) }

// Objects that are too new are replaced by what a service that knows them makes of them: the outermost one, with all versions that are known here.
func TestReceive(t *testing.T) {
	t.Parallel()
	r, err := objects.NewRegistry(Box{}, Item{})
	if err != nil {
		t.Fatal(err)
	}
	var asked []objects.BackportArgs
	ask := func(_ context.Context, args objects.BackportArgs) (json.RawMessage, error) {
		asked = append(asked, args)
		return json.RawMessage(item("1.1", `{"name":"older"}`, "")), nil
	}
	fine := `{"a": [1, {"box": ` + box("1.4", `{"any":{"x":"y"},"items":[`+item("1.0", "{}", "")+`]}`) + `}]}`
	out, err := r.Receive(t.Context(), json.RawMessage(fine), ask)
	if err != nil || string(out) != fine || asked != nil {
		t.Fatalf("nothing to do: %s, %v, asked %v", out, err, asked)
	}
	within := box("1.4", `{"items":[`+item("1.3", "{}", "")+`]}`)
	text := ` {"a": [1, ` + within + `, "x\"]}"], "b":` + item("1.1", "{}", "") + `, "c\n":null, "d":[{}, ` + item("1.2", "{}", "") + `]}`
	out, err = r.Receive(t.Context(), json.RawMessage(text), ask)
	older := item("1.1", `{"name":"older"}`, "")
	if want := strings.NewReplacer(within, older, item("1.2", "{}", ""), older).Replace(text); err != nil || string(out) != want {
		t.Errorf("got  %s, %v\nwant %s", out, err, want)
	}
	known := map[string]string{"Box": "1.4", "Item": "1.1"}
	want := []objects.BackportArgs{{Object: json.RawMessage(within), Versions: known}, {Object: json.RawMessage(item("1.2", "{}", "")), Versions: known}}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	var version *objects.VersionError
	stubborn := func(_ context.Context, args objects.BackportArgs) (json.RawMessage, error) { return args.Object, nil }
	if _, err := r.Receive(t.Context(), json.RawMessage(within), stubborn); !errors.As(err, &version) || version.Object != "Item" {
		t.Errorf("an answer that is too new as well: %v", err)
	}
	broken := errors.New("nobody there")
	if _, err := r.Receive(t.Context(), json.RawMessage(within), func(context.Context, objects.BackportArgs) (json.RawMessage, error) {
		return nil, broken
	}); !errors.Is(err, broken) {
		t.Errorf("no answer: %v", err)
	}
	// Who has no name for it does not look into it.
	stranger := strings.Replace(within, `"Box"`, `"Bag"`, 1)
	if out, err := r.Receive(t.Context(), json.RawMessage(stranger), stubborn); err != nil || string(out) != stranger {
		t.Errorf("in an object that nobody here knows: %s, %v", out, err)
	}
}

// A registry knows the objects within those that it is given, and asks for all that it knows: what a struct
// does not declare may have objects, too.
func TestReceiveWithin(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"in a field":                      box("1.4", `{"inner":`+item("1.3", "{}", "")+`}`),
		"in a map":                        box("1.4", `{"by_name":{"a":`+item("1.3", "{}", "")+`}}`),
		"in a field that is not declared": crate(`{"first":` + item("1.3", "{}", "") + `}`),
	} {
		r, err := objects.NewRegistry(Crate{}, Box{})
		if err != nil {
			t.Fatal(err)
		}
		var asked map[string]string
		out, err := r.Receive(t.Context(), json.RawMessage(text), func(_ context.Context, args objects.BackportArgs) (json.RawMessage, error) {
			asked = args.Versions
			return json.RawMessage(strings.ReplaceAll(string(args.Object), "1.3", args.Versions["Item"])), nil
		})
		if diff := cmp.Diff(map[string]string{"Crate": "1.0", "Box": "1.4", "Item": "1.1"}, asked); err != nil || diff != "" {
			t.Errorf("%s: %v, asked (-want +got):\n%s", name, err, diff)
			continue
		}
		if _, err := r.Decode(out); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// However deep a peer nests what it sends, it is looked through once.
func TestReceiveDeep(t *testing.T) {
	t.Parallel()
	r, err := objects.NewRegistry(Box{})
	if err != nil {
		t.Fatal(err)
	}
	const depth = 9000
	deep := strings.Repeat(`{"a":[`, depth/2) + item("1.3", "{}", "") + strings.Repeat("]}", depth/2)
	done := make(chan error, 1)
	go func() {
		_, err := r.Receive(t.Context(), json.RawMessage(deep), func(context.Context, objects.BackportArgs) (json.RawMessage, error) {
			return json.RawMessage(item("1.1", "{}", "")), nil
		})
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("%d bytes, nested %d deep, take more than 10 s", len(deep), depth)
	}
}

// A Node contains another of its class, as cinder's volumes contain snapshots, which contain volumes.
type Node struct {
	objects.Object `version:"1.0"`
	Next           objects.Nullable[*Node] `json:"next"`
	More           objects.Field[[]*Node]  `json:"more"`
}

func (n Node) MarshalJSON() ([]byte, error)     { return objects.Marshal(n) }
func (n *Node) UnmarshalJSON(text []byte) error { return objects.Unmarshal(text, n) }

// Objects are read as deep as peers in Python send them, and no deeper.
func TestDeepObjects(t *testing.T) {
	t.Parallel()
	r, err := objects.NewRegistry(Node{})
	if err != nil {
		t.Fatal(err)
	}
	for depth, accepted := range map[int]bool{90: true, 4000: false} {
		before, after, _ := strings.Cut(strings.Replace(box("1.0", `{"next":*}`), `"Box"`, `"Node"`, 1), "*")
		text := strings.Repeat(before, depth) + "null" + strings.Repeat(after, depth)
		_, decoded := r.Decode([]byte(text))
		for _, err := range []error{decoded, objects.Unmarshal([]byte(text), new(Node))} {
			var field *objects.FieldError
			if accepted && err != nil || !accepted && !errors.As(err, &field) {
				t.Errorf("%d deep: %v", depth, err)
			}
		}
	}
}
