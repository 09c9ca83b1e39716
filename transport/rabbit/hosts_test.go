package rabbit

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/transport"
)

// What a URL leaves out is as oslo.messaging has it. Nothing is dialled here: port 5672 of this machine is not the tests'.
//
// conforms: URL-29, URL-30
func TestDefaultHosts(t *testing.T) {
	t.Parallel()
	local := endpoint{host: "localhost", addr: "localhost:5672", user: "guest", password: "guest"}
	for text, want := range map[string][]endpoint{
		"rabbit://":   {local},
		"rabbit:///v": {local},
		"kombu://h":   {{host: "h", addr: "h:5672", user: "guest", password: "guest"}},
		// conforms: URL-31
		"rabbit://h/?ssl=true":    {{host: "h", addr: "h:5672", user: "guest", password: "guest"}},
		"rabbit://h:5671?ssl=1":   {{host: "h", addr: "h:5671", user: "guest", password: "guest"}},
		"rabbit://u:p@[::1],b:1/": {{host: "::1", addr: "[::1]:5672", user: "u", password: "p"}, {host: "b", addr: "b:1", user: "guest", password: "guest"}},
		// conforms: ODD-37
		"rabbit://a%2Fb:c%2Fd@h/": {{host: "h", addr: "h:5672", user: "a/b", password: "c/d"}},
	} {
		u, err := transport.ParseURL(text)
		if err != nil {
			t.Fatal(err)
		}
		s, _, err := Config{URL: u}.read()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, s.endpoints, cmp.AllowUnexported(endpoint{})); diff != "" {
			t.Errorf("%s (-want +got)\n%s", text, diff)
		}
	}
	if s, _, err := (Config{}).read(); err != nil || len(s.endpoints) != 1 || s.endpoints[0] != local || s.vhost != "/" {
		t.Errorf("the zero Config: %+v, %v", s, err)
	}
}
