package paste_test

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/rest"
	"github.com/goslo/goslo/rest/paste"
)

// tellers are apps that tell which they are, what was taken off the path, and what is left.
func tellers(f paste.Factories) paste.Factories {
	return paste.Factories{Apps: map[string]paste.AppFactory{"t:app": func(s paste.Settings) (http.Handler, error) {
		_, name, _ := strings.Cut(s.Section(), ":")
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s|%s|%s", name, rest.Mount(r.Context()), r.URL.Path)
		}), nil
	}}}.With(f)
}

// mapFile is the text of a file that maps with a factory.
func mapFile(use string, settings [][2]string) string {
	var text, apps strings.Builder
	fmt.Fprintf(&text, "[composite:main]\nuse = %s\n", use)
	seen := map[string]bool{}
	for _, s := range settings {
		fmt.Fprintf(&text, "%s = %s\n", s[0], s[1])
		if !seen[s[1]] {
			seen[s[1]] = true
			fmt.Fprintf(&apps, "[app:%s]\nuse = call:t:app\n", s[1])
		}
	}
	return text.String() + apps.String()
}

// ask returns app, mount and path, or the status.
func ask(t *testing.T, h http.Handler, host, path string) []string {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Host, r.URL = host, &url.URL{Path: path}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		return []string{fmt.Sprint(w.Code)}
	}
	return strings.Split(w.Body.String(), "|")
}

//go:embed testdata/urlmap.py
var urlmapProgram string

func TestURLMapAgreesWithPaste(t *testing.T) {
	t.Parallel()
	settings := [][2]string{
		{"/", "root"},
		{"/v2", "two"},
		{"/v2.1", "twoone"},
		{"/v2/deep/", "deep"},
		{"//v3//x", "three"},
		{"/v4/+", "plus"},
		{"domain api.example.com /v2", "host"},
		{"domain api.example.com port 8774 /v2", "hostport"},
		{"domain other.example.com", "other"},
		{"not_found_app", "nothing"},
	}
	var requests [][2]string
	for _, host := range []string{"localhost", "localhost:8774", "api.example.com", "API.example.com:8774", "other.example.com:80", "other.example.com"} {
		for _, path := range []string{"/", "/v2", "/v2/", "/v2/servers", "/v2.1", "/v2.1/servers", "/v20", "/v2/deep", "/v2/deeper", "/v2/deep/x", "//v2//deep//y", "/v3/x", "/v3/y", "/v4", "/v4/x", "/v4/+/x", "/a%2Fb", "/v2/ü"} {
			requests = append(requests, [2]string{host, path})
		}
	}
	input, err := json.Marshal([]any{settings, requests})
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", urlmapProgram)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("Paste did not run: %v\n%s\ninstall it: apt-get install python3-paste", err, stderr.String())
	}
	var want [][]string
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	h, err := paste.Config{
		Path:      write(t, mapFile("egg:Paste#urlmap", settings)),
		Factories: tellers(paste.Factories{Composites: map[string]paste.CompositeFactory{"egg:Paste#urlmap": paste.URLMap}}),
	}.App()
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range requests {
		if want[i][2] == "" {
			want[i][2] = "/" // the only difference
		}
		if diff := cmp.Diff(want[i], ask(t, h, r[0], r[1])); diff != "" {
			t.Errorf("%s%s: Paste (-) and this package (+) disagree:\n%s", r[0], r[1], diff)
		}
	}
}

// The paths of nova's file, with and without something behind them.
func TestNovaURLMap(t *testing.T) {
	t.Parallel()
	const use = "call:nova.api.openstack.urlmap:urlmap_factory"
	h, err := paste.Config{
		Path:      write(t, mapFile(use, [][2]string{{"/", "versions"}, {"/v2", "two"}, {"/v2.1", "twoone"}, {"/v2/+", "api2"}, {"/v2.1/+", "api21"}})),
		Factories: tellers(paste.Factories{Composites: map[string]paste.CompositeFactory{strings.TrimPrefix(use, "call:"): paste.NovaURLMap}}),
	}.App()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]string{
		"/":                {"versions", "", "/"},
		"/v3":              {"versions", "", "/v3"},
		"/v2":              {"two", "/v2", "/"},
		"/v2/":             {"two", "/v2", "/"},
		"/v2/servers":      {"api2", "/v2", "/servers"},
		"/v2.1":            {"twoone", "/v2.1", "/"},
		"/v2.1/p/servers/": {"api21", "/v2.1", "/p/servers/"},
	} {
		if diff := cmp.Diff(want, ask(t, h, "localhost", path)); diff != "" {
			t.Errorf("%s, -want +got:\n%s", path, diff)
		}
	}
}

// Maps below maps add up, what they set reaches the apps, what stands for nothing is a fault, and an escaped slash stays one.
func TestURLMapBelowURLMap(t *testing.T) {
	t.Parallel()
	text := "[composite:main]\nuse = egg:Paste#urlmap\nset limit = 7\n/a: inner\n[composite:inner]\nuse = egg:Paste#urlmap\n/b: app\n[app:app]\nuse = call:t:app\n"
	f := tellers(paste.Factories{Composites: map[string]paste.CompositeFactory{"egg:Paste#urlmap": paste.URLMap}})
	f.Apps["t:app"] = func(s paste.Settings) (http.Handler, error) {
		if limit, ok := s.Lookup("limit"); !ok || limit.Value != "7" {
			t.Errorf("what the map sets for all below is %q, %v", limit.Value, ok)
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, rest.Mount(r.Context()), " ", r.URL.EscapedPath())
		}), nil
	}
	h, err := paste.Config{Path: write(t, text), Factories: f}.App()
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	get := func(path string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(body)
	}
	if code, body := get("/a/b/c%2Fd"); code != http.StatusOK || body != "/a/b /c%2Fd" {
		t.Errorf("%d %s", code, body)
	}
	if code, body := get("/a/b%2Fc%2Fd"); code != http.StatusOK || body != "/a/b /c/d" { // the path below begins with a slash
		t.Errorf("%d %s", code, body)
	}
	if code, body := get("/a/c"); code != http.StatusNotFound || !strings.Contains(body, `"itemNotFound"`) {
		t.Errorf("%d %s", code, body)
	}
}

func TestURLMapErrors(t *testing.T) {
	t.Parallel()
	path := write(t, "[composite:main]\nuse = egg:Paste#urlmap\nv2 = a\nport 80 /x = a\n/a /b = a\ndomain = a\ndomain a domain b = a\n/x = missing\n/v1 = gone\n[app:a]\nuse = call:t:app\n")
	f := tellers(paste.Factories{Composites: map[string]paste.CompositeFactory{"egg:Paste#urlmap": paste.URLMapWithout("/v1")}})
	_, err := paste.Config{Path: path, Factories: f}.App()
	want := []string{
		"paste: api-paste.ini:3: [composite:main]: v2: a path begins with a slash",
		"paste: api-paste.ini:4: [composite:main]: port 80 /x: a port needs a domain",
		"paste: api-paste.ini:5: [composite:main]: /a /b: /a and /b are one too many",
		"paste: api-paste.ini:6: [composite:main]: domain: domain is not followed by anything",
		"paste: api-paste.ini:7: [composite:main]: domain a domain b: a and b are one too many",
		"paste: api-paste.ini:8: [composite:main]: /x: there is no app, composite, pipeline or filter-app missing in api-paste.ini",
	}
	if diff := cmp.Diff(want, told(path, err)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
