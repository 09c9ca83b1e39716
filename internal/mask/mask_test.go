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
		`{"credentials":{"user":"ann","secret":null},"of":"ann"}`:                                    `{"credentials":{"user":"***","secret":"***"},"of":"ann"}`,
		`{"token":{"id":"x1","roles":[{"a":["x1"]}],"user":{"id":1}},"n":{"id":2}}`:                  `{"token":{"id":"***","roles":"***","user":{"id":"***"}},"n":{"id":2}}`,
		`{"passwd":"x1","apiKey":"x1","api-key":"x1","privateKey":"x1","config_drive":"True"}`:       `{"passwd":"***","apiKey":"***","api-key":"***","privateKey":"***","config_drive":"True"}`,
		`["{\"adminPass\": \"x1\", \"n\": 1}","auth_token='x1' n=1","at 10:00"]`:                     `["{\"adminPass\": ***, \"n\": 1}","auth_token=*** n=1","at 10:00"]`,
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
		"no route to rabbit://openstack:x1:y@ctl-1:5672/nova":        "no route to rabbit://openstack:***@ctl-1:5672/nova",
		`{'auth_token': u'x1', 'name': 'vm', "Password" : "x 1"}`:    `{'auth_token': ***, 'name': 'vm', "Password" : ***}`,
		"call(adminPass=x1, n=3) failed; X-Auth-Token: x1":           "call(adminPass=***, n=3) failed; X-Auth-Token: ***",
		"the password of ann is wrong; token expired at 12:00":       "the password of ann is wrong; token expired at 12:00",
		`{"password": "x\"1", 'secret': b'x1', "n": 1}`:              `{"password": ***, 'secret': ***, "n": 1}`,
		`token=['x1', 'x1'] admin_pass={'a': 'x1'} n=1`:              `token=*** admin_pass=*** n=1`,
		`{\"adminPass\": \"x1\", \"n\": \"a\"}`:                      `{\"adminPass\": ***, \"n\": \"a\"}`,
		`the rest was cut: "password": "x1 x1`:                       `the rest was cut: "password": ***`,
		"Authorization: Bearer x1\nHost: a":                          "Authorization: ***\nHost: a",
		`curl -H "Authorization: Bearer x1" -H 'Cookie: a=x1; b=x1'`: `curl -H "Authorization: ***" -H 'Cookie: ***'`,
		`{'Authorization': 'Bearer x1', 'n': 'a'}`:                   `{'Authorization': ***, 'n': 'a'}`,
		"Timed out waiting for a reply to message ID 0253: no host":  "Timed out waiting for a reply to message ID 0253: no host",
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

// All that oslo.utils takes for secrets (oslo_utils/strutils.py) is one here.
func TestSecretsOfOslo(t *testing.T) {
	t.Parallel()
	for _, name := range strings.Fields(`adminpass admin_pass password admin_password auth_token new_pass auth_password secret_uuid secret sys_pswd token
		configdrive chappassword encrypted_key private_key fernetkey sslkey passphrase cephclusterfsid octaviaheartbeatkey rabbitcookie cephmanilaclientkey
		pacemakerremoteauthkey designaterndckey cephadminkey heatauthencryptionkey cephclientkey keystonecredential barbicansimplecryptokek cephrgwkey
		swifthashsuffix migrationsshkey cephmdskey cephmonkey chapsecret`) {
		if !mask.Secret("X-" + strings.ToUpper(name) + "-1") {
			t.Errorf("%s is shown", name)
		}
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
			v[name] = masked(value)
			if mask.Secret(name) {
				v[name] = stars(value)
			}
		}
	case []any:
		for i := range v {
			v[i] = masked(v[i])
		}
	case string:
		return mask.Text(v)
	}
	return v
}

// stars stand for a value, and for those in an object.
func stars(v any) any {
	object, ok := v.(map[string]any)
	if !ok {
		return mask.Stars
	}
	for name, value := range object {
		object[name] = stars(value)
	}
	return object
}
