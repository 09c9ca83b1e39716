package objects_test

import (
	"encoding/json"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/objects"
)

// An Odd has fields whose types encode themselves, and a pointer that can be nil.
type Odd struct {
	objects.Object `version:"1.1"`
	IP             objects.Field[net.IP]             `json:"ip"`
	Big            objects.Field[big.Int]            `json:"big"`
	Bigs           objects.Field[[]big.Int]          `json:"bigs"`
	ByName         objects.Field[map[string]big.Int] `json:"by_name"`
	Text           objects.Field[*string]            `json:"text"`
	Inner          objects.Nullable[*Item]           `json:"inner"`
}

func (o Odd) MarshalJSON() ([]byte, error)     { return objects.Marshal(o) }
func (o *Odd) UnmarshalJSON(text []byte) error { return objects.Unmarshal(text, o) }

func odd(version, data string) string {
	return strings.Replace(box(version, data), `"Box"`, `"Odd"`, 1)
}

// A type that encodes itself does, by its value or its pointer, as JSON or as text.
func TestOwnEncodings(t *testing.T) {
	t.Parallel()
	text := odd("1.1", `{"ip":"192.0.2.7","big":123456789012345678901234567890,"bigs":[1,2],"by_name":{"a":3}}`)
	var o Odd
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(o)
	if err != nil || string(out) != text || !o.IP.Get().Equal(net.IPv4(192, 0, 2, 7)) {
		t.Errorf("got  %s, %v\nwant %s", out, err, text)
	}
}

// A nil pointer is a null, where there may be one.
func TestNilPointers(t *testing.T) {
	t.Parallel()
	var o Odd
	o.Inner.Set(nil)
	if _, ok := o.Inner.Lookup(); ok || !o.Inner.IsNull() || o.Inner.String() != "null" {
		t.Error("set to nil, it is not null")
	}
	made := Odd{Inner: objects.NullableOf[*Item](nil)}
	if diff := cmp.Diff(true, made.Inner.IsNull()); diff != "" {
		t.Error("made of nil, it is not null")
	}
	out, err := objects.Backport(&o, "1.0", nil)
	if want := strings.TrimSuffix(odd("1.0", `{"inner":null}`), "}") + `,"versioned_object.changes":["inner"]}`; err != nil || string(out) != want {
		t.Errorf("got  %s, %v\nwant %s", out, err, want)
	}
	o.Text.Set(nil)
	var field *objects.FieldError
	if out, err := json.Marshal(o); !errors.As(err, &field) || field.Field != "text" {
		t.Errorf("a nil pointer in a field that cannot be null: %s, %v", out, err)
	}
}
