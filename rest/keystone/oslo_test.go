package keystone_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/rest/keystone"
)

// python runs a program that reads JSON and writes JSON.
func python(t *testing.T, program string, input, output any) {
	t.Helper()
	in, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-W", "ignore", "-c", program)
	cmd.Stdin = bytes.NewReader(in)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("keystonemiddleware did not run: %v; install it: apt-get install python3-keystone\n%s", err, said.String())
	}
	if err := json.Unmarshal(out, output); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// filterProgram sends requests through keystonemiddleware, and tells status and headers behind it.
const filterProgram = `
import json, logging, sys
import webob, webob.dec
from keystonemiddleware import auth_token
logging.disable(logging.CRITICAL)
given = json.load(sys.stdin)
@webob.dec.wsgify
def api(r):
    return webob.Response(json.dumps({name: value for name, value in r.headers.items()}))
filters = {delay: auth_token.filter_factory({}, **dict(given["options"], delay_auth_decision=delay))(api) for delay in (False, True)}
answers = []
for request in given["requests"]:
    r = webob.Request.blank("/v1/orders")
    for name, value in request["header"].items():
        r.headers[name] = value
    answer = r.get_response(filters[request["delay"]])
    answers.append({"status": answer.status_int, "challenge": answer.headers.get("WWW-Authenticate", ""),
        "header": json.loads(answer.body) if answer.status_int == 200 else {}})
json.dump(answers, sys.stdout)
`

// What stands behind the filter sees what it sees behind keystonemiddleware.
func TestHeadersAreThoseOfKeystonemiddleware(t *testing.T) {
	t.Parallel()
	k := brokertest.Keystone(t)
	o := options(t, k)
	ann := k.NewUser(t, "ann", "member", "reader")
	valid, expired := k.Token(t, ann), k.TokenFor(t, ann, -9)
	service := k.Token(t, k.NewUser(t, "cinder", "service"))
	type request struct {
		Header map[string]string `json:"header"`
		Delay  bool              `json:"delay"`
	}
	requests := []request{
		{map[string]string{"X-Auth-Token": valid}, false},
		{map[string]string{"X-Auth-Token": " " + valid + " ", "X-Roles": "admin", "X-Tenant": "x"}, false},
		{map[string]string{"X-Storage-Token": valid}, false},
		{map[string]string{"X-Auth-Token": expired}, false},
		{map[string]string{"X-Auth-Token": expired, "X-Service-Token": service}, false},
		{map[string]string{"X-Auth-Token": valid, "X-Service-Token": service}, false},
		{map[string]string{"X-Auth-Token": valid, "X-Service-Token": "nonsense"}, false},
		{map[string]string{"X-Auth-Token": valid, "X-Service-Token": "nonsense"}, true},
		{map[string]string{"X-Auth-Token": "nonsense", "X-Service-Token": service}, true},
		{map[string]string{"X-User-Id": "root", "X-Service-Roles": "service"}, true},
		{map[string]string{}, false},
	}
	type answered struct {
		Status    int               `json:"status"`
		Challenge string            `json:"challenge"`
		Header    map[string]string `json:"header"`
	}
	var want []answered
	python(t, filterProgram, map[string]any{"requests": requests, "options": map[string]any{
		"auth_type": "password", "auth_url": o.AuthURL, "username": o.Username, "password": o.Password.Reveal(), "project_name": o.ProjectName,
		"user_domain_name": "Default", "project_domain_name": "Default", "www_authenticate_uri": o.WWWAuthenticateURI, "region_name": o.RegionName,
	}}, &want)
	filters := map[bool]api{false: newAPI(t, o)}
	o.DelayAuthDecision = true
	filters[true] = newAPI(t, o)
	for i, r := range requests {
		header := make([]string, 0, 2*len(r.Header))
		for name, value := range r.Header {
			header = append(header, name, value)
		}
		said := filters[r.Delay].get(t, header...)
		got := answered{said.status, said.header.Get("WWW-Authenticate"), make(map[string]string)}
		for name := range said.Header {
			got.Header[name] = said.Header.Get(name)
		}
		delete(want[i].Header, "Host") // Go has it elsewhere
		for _, header := range []map[string]string{want[i].Header, got.Header} {
			if text := header["X-Service-Catalog"]; text != "" {
				header["X-Service-Catalog"] = catalogOf(t, text)
			}
			maps.DeleteFunc(header, func(_, value string) bool { return value == "" }) // upstream's way to say nothing
		}
		if diff := cmp.Diff(want[i], got); diff != "" {
			t.Errorf("request %d: keystonemiddleware (-) and ours (+):\n%s", i, diff)
		}
	}
	if want[0].Status != http.StatusOK || want[3].Status != http.StatusUnauthorized || want[4].Status != http.StatusOK {
		t.Errorf("keystonemiddleware did not work: %v", want)
	}
}

// catalogOf is a catalog without blanks, and without what other tests add to it.
func catalogOf(t *testing.T, text string) string {
	t.Helper()
	var catalog []map[string]any
	if err := json.Unmarshal([]byte(text), &catalog); err != nil {
		t.Fatal(err)
	}
	for _, service := range catalog {
		service["endpoints"] = slices.DeleteFunc(service["endpoints"].([]any), func(e any) bool {
			return e.(map[string]any)["region"] != "RegionOne"
		})
	}
	canonical, err := json.Marshal(catalog)
	if err != nil {
		t.Fatal(err)
	}
	return string(canonical)
}

const optionsProgram = `
import json, sys
from keystoneauth1 import loading
from keystonemiddleware import auth_token
options = auth_token.list_opts()[0][1] + loading.get_auth_plugin_conf_options("password")
json.dump({o.dest: o.default for o in options}, sys.stdout)
`

// settings are all options as a program has them, with their defaults.
func settings(t *testing.T) map[string]string {
	t.Helper()
	type program struct {
		Auth keystone.Options `config:"keystone_authtoken"`
	}
	conf, err := config.Load(config.Source{Env: func(string) (string, bool) { return "", false }}, program{})
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, s := range conf.Settings() {
		if s.Group == keystone.Group {
			all[s.Name] = s.Value
		}
	}
	if diff := cmp.Diff(keystone.Defaults().Checks, conf.Get().Auth.Checks); diff != "" {
		t.Errorf("Defaults (-) and the defaults in tags (+):\n%s", diff)
	}
	if diff := cmp.Diff(keystone.Defaults().Identity, conf.Get().Auth.Identity); diff != "" {
		t.Errorf("Defaults (-) and the defaults in tags (+):\n%s", diff)
	}
	return all
}

// Every option of keystonemiddleware and of its plugin for passwords is known, with the same default, and refused if there is
// nothing like it.
func TestOptionsAreThoseOfKeystonemiddleware(t *testing.T) {
	t.Parallel()
	upstream := make(map[string]any)
	python(t, optionsProgram, nil, &upstream)
	differ := map[string]string{
		"http_connect_timeout": "30",                                                              // theirs waits for ever
		"auth_type":            "password",                                                        // theirs must be told
		"auth_host":            "", "auth_port": "", "auth_protocol": "", "admin_tenant_name": "", // retired
	}
	unknown := map[string]bool{ // for tokens of other kinds; auth_uri and the like are older names
		"auth_uri": true, "trust_id": true, "system_scope": true, "domain_id": true, "domain_name": true,
	}
	ours := settings(t)
	for name, value := range upstream {
		if unknown[name] {
			continue
		}
		want := ""
		switch v := value.(type) {
		case nil:
		case []any:
			var items []string
			for _, each := range v {
				items = append(items, each.(string))
			}
			want = strings.Join(items, ",")
		default:
			text, _ := json.Marshal(v)
			want = strings.Trim(string(text), `"`)
		}
		if other, ok := differ[name]; ok {
			want = other
		}
		if got, ok := ours[name]; !ok || got != want {
			t.Errorf("%s: %q (known: %v), want %q", name, got, ok, want)
		}
	}
}

// The document has a line for every option, and none for others.
func TestTheDocumentKnowsAllOptions(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/authentication.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, match := range regexp.MustCompile("(?m)^\\| ((?:`[a-z_]+`(?:, )?)+) \\|").FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, regexp.MustCompile("[a-z_]+").FindAllString(match[1], -1)...)
	}
	slices.Sort(documented)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(settings(t))), documented); diff != "" {
		t.Errorf("the options (-) and docs/authentication.md (+):\n%s", diff)
	}
}
