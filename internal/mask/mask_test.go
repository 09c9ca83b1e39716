package mask_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/internal/mask"
)

func TestJSONMasksSecrets(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{ //nolint:gosec // they are examples
		`{"name": "vm", "adminPass": "x1"}`:                                                          `{"name": "vm", "adminPass": "***"}`,
		`[{"auth_token":"x1"},{"a":[{"Password" : ["x1", {"b":1}]}, 2]}]`:                            `[{"auth_token":"***"},{"a":[{"Password" : "***"}, 2]}]`,
		`{"credentials":{"user":"ann","secret":null}}`:                                               `{"credentials":{"user":"ann","secret":"***"}}`,
		`{"\u0070assword":"\"x1\\","n":1.10e400,"big":12345678901234567890,"nan":NaN,"i":-Infinity}`: `{"\u0070assword":"***","n":1.10e400,"big":12345678901234567890,"nan":NaN,"i":-Infinity}`,
		`{"X-Auth-Token":1,"X-Subject-Token":true,"HTTP_COOKIE":"x1","Authorization":"x1"}`:          `{"X-Auth-Token":"***","X-Subject-Token":"***","HTTP_COOKIE":"***","Authorization":"***"}`,
		` {"plain":["password","token"]} `:                                                           ` {"plain":["password","token"]} `,
		`["rabbit://u:x1@h/?a=b","rabbit://u@h/","a\u003a//u:\u00781@h"]`:                            `["rabbit://u:***@h/?a=b","rabbit://u@h/","a://u:***@h"]`,
		`{"user_data":"eDE=","injected_files":[["/etc/x","eDE="]]}`:                                  `{"user_data":"***","injected_files":"***"}`,
		`"password"`:                `"password"`,
		`null`:                      `null`,
		``:                          `"(not shown: it is no JSON)"`,
		`{"password":"x1`:           `"(not shown: it is no JSON)"`,
		`{"password":[1}`:           `"(not shown: it is no JSON)"`,
		`{"a":1]`:                   `"(not shown: it is no JSON)"`,
		`{password:1}`:              `"(not shown: it is no JSON)"`,
		`{"a":1} {"password":"x1"}`: `"(not shown: it is no JSON)"`,
	} {
		if diff := cmp.Diff(want, string(mask.JSON([]byte(text)))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestTextMasksSecrets(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{ //nolint:gosec // they are examples
		"no route to rabbit://openstack:x1:y@ctl-1:5672/nova":       "no route to rabbit://openstack:***@ctl-1:5672/nova",
		`{'auth_token': u'x1', 'name': 'vm', "Password" : "x 1"}`:   `{'auth_token': u***, 'name': 'vm', "Password" : ***}`,
		"call(adminPass=x1, n=3) failed; X-Auth-Token: x1":          "call(adminPass=***, n=3) failed; X-Auth-Token: ***",
		"the password of ann is wrong; token expired at 12:00":      "the password of ann is wrong; token expired at 12:00",
		"Timed out waiting for a reply to message ID 0253: no host": "Timed out waiting for a reply to message ID 0253: no host",
	} {
		if got := mask.Text(text); got != want {
			t.Errorf("%s\nbecame %s\nwant   %s", text, got, want)
		}
	}
}

// Depth is the sender's choice.
func TestJSONMasksAtAnyDepth(t *testing.T) {
	t.Parallel()
	const depth = 200_000
	text := strings.Repeat(`{"a":[`, depth) + `{"password":"x1"}` + strings.Repeat(`]}`, depth)
	if got := string(mask.JSON([]byte(text))); strings.Contains(got, "x1") || len(got) != len(text)+1 {
		t.Errorf("not masked, or too much: %d bytes of %d", len(got), len(text))
	}
}

// What is JSON stays JSON, with no scalar under a secret name but the stars, and all else as it was.
func FuzzJSON(f *testing.F) {
	for _, text := range []string{`{"password":"x","a":[{"token":[1,{"b":2}]}],"n":1e3}`, `[]`, `{"a":{}}`, `"\""`, `{"secret":{"c":1}}`, `{"token":}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var before any
		if json.Unmarshal(text, &before) != nil {
			_ = mask.JSON(text) // it must not fail
			return
		}
		var after any
		got := mask.JSON(text)
		if err := json.Unmarshal(got, &after); err != nil {
			t.Fatalf("%s became %s: %v", text, got, err)
		}
		if diff := cmp.Diff(masked(before), after); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	})
}

// masked is the same by way of values.
func masked(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if _, deep := value.(map[string]any); mask.Secret(name) && !deep {
				v[name] = mask.Stars
				continue
			}
			v[name] = masked(value)
		}
	case []any:
		for i := range v {
			v[i] = masked(v[i])
		}
	case string:
		return mask.URLs(v)
	}
	return v
}
