package rest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/rest"
)

type base struct {
	Name string `json:"name"`
}

type network struct {
	UUID string `json:"uuid"`
	Port *int   `json:"port,omitempty"`
}

func (n network) Validate() error {
	switch n.UUID {
	case "bad":
		return rest.FieldFault("uuid", "is no UUID")
	case "wrong":
		return errors.New("is wrong")
	}
	return nil
}

type hidden struct {
	Secret string `json:"secret"`
}

type everything struct {
	base
	*hidden

	Nullable *string         `json:"nullable"`
	When     time.Time       `json:"when,omitzero"`
	Small    int8            `json:"small,omitempty"`
	Ratio    float64         `json:"ratio,omitempty"`
	Yes      bool            `json:"yes,omitempty"`
	Raw      json.RawMessage `json:"raw,omitempty"`
	Any      any             `json:"any,omitempty"`
	Bytes    []byte          `json:"bytes,omitempty"`
	Pair     [2]int          `json:"pair,omitempty"`
	Networks []network       `json:"networks,omitempty"`
	First    *network        `json:"first,omitempty"`
	Limits   map[string]int  `json:"limits,omitempty"`
	Named    struct{ X int } `json:"named,omitempty"`
	Numbered map[int]string  `json:"numbered,omitempty"`
}

func TestDecode(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"name": "a", "nullable": null}`: "",
		`{"name": "a", "nullable": "b", "when": "2026-11-21T10:00:00Z", "small": 3, "ratio": 1e3, "yes": true, "raw": [1, {}], "any": null,
			"bytes": "aGk=", "pair": [1, 2], "networks": [{"uuid": "u", "port": 7}], "first": null, "limits": {"cpu": 4}, "named": {"X": 1}, "numbered": {"1": "a"}}`: "",
		`{"nullable": null}`:                                                        "name: is missing",
		`{"name": "a"}`:                                                             "nullable: is missing",
		`{"name": "a", "nullable": 1}`:                                              "nullable: want a string, not a number",
		`{"name": "a", "nullable": null, "when": "now"}`:                            `when: want a date and time such as 2006-01-02T15:04:05Z, not "now"`,
		`{"name": "a", "nullable": null, "small": 200}`:                             "small: 200 is too large or too small",
		`{"name": "a", "nullable": null, "small": "1"}`:                             "small: want a whole number, not a string",
		`{"name": "a", "nullable": null, "ratio": "1"}`:                             "ratio: want a number, not a string",
		`{"name": "a", "nullable": null, "yes": 1}`:                                 "yes: want true or false, not a number",
		`{"name": "a", "nullable": null, "bytes": 5}`:                               "bytes: want a string of base64, not a number",
		`{"name": "a", "nullable": null, "ratio": 1e999}`:                           "ratio: 1e999 is too large or too small",
		`{"name": "a", "nullable": null, "small": 99999999999999999999}`:            "small: 99999999999999999999 is too large or too small",
		`{"name": "a", "nullable": null, "small": 1.0}`:                             "small: want a whole number, not 1.0",
		`{"name": "a", "nullable": null, "pair": [1]}`:                              "pair: want a list of 2, not of 1",
		`{"name": "a", "nullable": null, "pair": {}}`:                               "pair: want a list, not an object",
		`{"name": "a", "nullable": null, "networks": null}`:                         "networks: want a list, not null",
		`{"name": "a", "nullable": null, "networks": [{"uuid": "u"}, {"uuid": 5}]}`: "networks[1].uuid: want a string, not a number",
		`{"name": "a", "nullable": null, "networks": [{"uuid": "bad"}]}`:            "networks[0].uuid: is no UUID",
		`{"name": "a", "nullable": null, "first": {"uuid": "wrong"}}`:               "first: is wrong",
		`{"name": "a", "nullable": null, "first": {"uuid": "u", "port": null}}`:     "",
		`{"name": "a", "nullable": null, "limits": {"cpu": "x"}}`:                   "limits.cpu: want a whole number, not a string",
		`{"name": "a", "nullable": null, "limits": []}`:                             "limits: want an object, not a list",
		`{"name": "a", "nullable": null, "named": {"x": 1}}`:                        "named.x: nothing is called that here; did you mean \"X\"?",
		`{"name": "a", "nullable": null, "secret": "u"}`:                            "secret: nothing is called that here",
		`[]`: "want an object, not a list",
		`{`:  "the body is no JSON: line 1, column 1: unexpected end of JSON input",
	} {
		var got everything
		err := rest.Decode([]byte(body), &got)
		if want == "" {
			var plain everything
			if plainErr := json.Unmarshal([]byte(body), &plain); err != nil || plainErr != nil || !cmp.Equal(plain, got, cmp.AllowUnexported(everything{})) {
				t.Errorf("%s: %v, %v\n%s", body, err, plainErr, cmp.Diff(plain, got, cmp.AllowUnexported(everything{})))
			}
			continue
		}
		var fault *rest.Fault
		if !errors.As(err, &fault) || fault.Code != 400 || fault.Message != want {
			t.Errorf("%s\n got %v\nwant %s", body, err, want)
		}
	}
}

// A value has a hundred around it at most, so that types which have themselves as a part are read in a reasonable time.
func TestDecodeDepth(t *testing.T) {
	t.Parallel()
	type tree struct {
		Name  string `json:"name,omitempty"`
		Trees []tree `json:"trees,omitempty"`
	}
	for body, want := range map[string]string{
		strings.Repeat(`{"trees":[`, 50) + strings.Repeat(`]}`, 50):             "",
		strings.Repeat(`{"trees":[`, 50) + `{}` + strings.Repeat(`]}`, 50):      "400 badRequest: the body has more than 100 objects and lists within each other",
		`{"name": "\"` + strings.Repeat("[", 200) + `"}`:                        "",
		`{"trees": [` + strings.Repeat(`{"name": "a"},`, 200) + `{"name":""}]}`: "",
	} {
		var got tree
		if err := rest.Decode([]byte(body), &got); (err == nil) != (want == "") || err != nil && err.Error() != "rest: "+want {
			t.Errorf("%.50s: %v, want %s", body, err, want)
		}
	}
}

// What is accepted means what encoding/json says it means, and everything else is a 400.
func FuzzDecode(f *testing.F) {
	f.Add(`{"name": "a", "nullable": null, "when": "2026-11-21T10:00:00Z", "networks": [{"uuid": "u"}]}`)
	f.Add(`{"name": "a", "nullable": "b", "raw": [1], "any": {"x": null}, "bytes": "aGk=", "pair": [1, 2], "limits": {"cpu": 4}}`)
	f.Add(`{"name": "\ud800", "small": 1e1}`)
	f.Fuzz(func(t *testing.T, body string) {
		var got, plain everything
		err := rest.Decode([]byte(body), &got)
		if err != nil {
			var fault *rest.Fault
			if !errors.As(err, &fault) || fault.Code != 400 || fault.Message == "" {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		if err := json.Unmarshal([]byte(body), &plain); err != nil {
			t.Fatalf("accepted %q, which is wrong: %v", body, err)
		}
		if a, b := fmt.Sprintf("%+v", plain), fmt.Sprintf("%+v", got); len(a) != len(b) {
			t.Errorf("%q: %s, %s", body, a, b)
		}
	})
}
