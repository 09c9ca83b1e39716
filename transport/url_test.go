package transport_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/transport"
)

func host(name string, port int) transport.Host { return transport.Host{Hostname: name, Port: port} }

func login(user, password, name string) transport.Host {
	return transport.Host{Username: user, Password: password, HasUsername: true, HasPassword: true, Hostname: name}
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	type hosts = []transport.Host
	type query = []transport.Option
	at := func(vhost string, h ...transport.Host) transport.URL {
		return transport.URL{Scheme: "foo", Hosts: h, VirtualHost: vhost, HasVirtualHost: true}
	}
	bare := func(h ...transport.Host) transport.URL { return transport.URL{Scheme: "foo", Hosts: h} }
	user := transport.Host{Username: "u", HasUsername: true, Hostname: "h"}
	for _, c := range []struct {
		in   string
		want transport.URL
	}{
		// conforms: URL-01
		{"FOO://Host/#fragment", at("", host("Host", 0))},
		{"foo+bar-1.2://h", transport.URL{Scheme: "foo+bar-1.2", Hosts: hosts{host("h", 0)}}},
		{"foo://h/v?a=1#x", transport.URL{Scheme: "foo", Hosts: hosts{host("h", 0)}, VirtualHost: "v", HasVirtualHost: true, Query: query{{"a", "1"}}}},
		{"foo://h?a=1", transport.URL{Scheme: "foo", Hosts: hosts{host("h", 0)}, Query: query{{"a", "1"}}}},
		{" foo://h\n", bare(host("h", 0))},
		// conforms: URL-05
		{"foo:", bare()},
		{"foo://", bare()},
		{"foo://h", bare(host("h", 0))},
		{"foo:/", at("")},
		{"foo:///", at("")},
		{"foo://h/", at("", host("h", 0))},
		{"foo:////", at("/")},
		{"foo://h//", at("/", host("h", 0))},
		{"foo://h/a/b", at("a/b", host("h", 0))},
		// conforms: URL-06
		{"foo://h/%2F", at("/", host("h", 0))},
		{"foo://h/%2f%zz%4", at("/%zz%4", host("h", 0))},
		// conforms: URL-35
		{"foo:/a,b/", at("a,b/")},
		// conforms: URL-07
		{"foo://h1,,h2/", at("", host("h1", 0), host("h2", 0))},
		{"foo://,/", at("")},
		// conforms: URL-08
		{"foo://u@d:p@h", bare(login("u@d", "p", "h"))},
		{"foo://u:p@w@h", bare(login("u", "p@w", "h"))},
		{"foo://u:p:q@h", bare(login("u", "p:q", "h"))},
		// conforms: URL-09
		{"foo://u%24:p%26+%2C@h%41", bare(login("u$", "p&+,", "h%41"))},
		// conforms: URL-10
		{"foo://u@h", bare(user)},
		{"foo://u:@h", bare(login("u", "", "h"))},
		{"foo://:p@h", bare(login("", "p", "h"))},
		{"foo://@h", bare(transport.Host{HasUsername: true, Hostname: "h"})},
		// conforms: URL-11
		{"foo://u:p@h1,h2", bare(login("u", "p", "h1"), host("h2", 0))},
		// conforms: URL-12
		{"foo://h:10", bare(host("h", 10))},
		{"foo://h:1:2", bare(host("h:1:2", 0))},
		{"foo://ffff::1", bare(host("ffff::1", 0))},
		// conforms: URL-13
		{"foo://[ffff::1]", bare(host("ffff::1", 0))},
		{"foo://[ffff::1]:1234,[::2]", bare(host("ffff::1", 1234), host("::2", 0))},
		// conforms: URL-14
		{"foo://h:99999,g:-1", bare(host("h", 99999), host("g", -1))},
		// conforms: URL-15
		{"foo://u:p@/bar", at("bar", login("u", "p", ""))},
		// conforms: URL-17
		{"foo:?l=1&x=%2C+y%2B&l=2&e=&f&l=3", transport.URL{Scheme: "foo", Query: query{{"l", "1,2,3"}, {"x", ", y+"}}}},
		{"foo:?a+b=c%3Dd=e", transport.URL{Scheme: "foo", Query: query{{"a b", "c=d=e"}}}},
		// conforms: URL-38
		{"foo://aZ09&=$-_.+!*():p&=$-_.+!*()@h", bare(login("aZ09&=$-_.+!*()", "p&=$-_.+!*()", "h"))},
	} {
		got, err := transport.ParseURL(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if diff := cmp.Diff(c.want, *got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.in, diff)
		}
	}
}

func TestParseURLErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, url, part, says string }{
		// conforms: URL-02
		{"invalid", "invalid", "scheme", "there is none"},
		{"http", "http", "scheme", "there is none"},
		{"", "", "scheme", "there is none"},
		{"1foo://u:hunter2@h", "***@h", "scheme", "there is none"},
		{"foo_bar://h", "foo_bar:***", "scheme", "there is none"},
		{"://h", ":***", "scheme", "there is none"},
		// conforms: URL-14
		{"foo://h:abc", "foo://h:***", "port of host 1 of 1", "not a number"},
		{"foo://g,h:", "foo://g,h:***", "port of host 2 of 2", "not a number"},
		{"foo://[::1", "foo://[:***", "hosts", "enclose"},
		{"foo://::1]", "foo://:***", "hosts", "enclose"},
		{"foo://[::1]5672", "foo://[:***", "host 1 of 1", "enclose"},
		{"foo://[]", "foo://[]", "host 1 of 1", "enclose"},
		{"foo://h[1]", "foo://h[1]", "host 1 of 1", "enclose"},
		// conforms: URL-16
		{"foo://u:hunter2/x@h:1/v?token=hunter2", "foo://***@h:1/v?***", "port of host 1 of 1", "percent-encode"},
		{"foo://u:hunter2#x@h:1/v", "foo://***@h:1/v", "port of host 1 of 1", "percent-encode"},
		{"foo://u:hunter2/", "foo://u:***", "port of host 1 of 1", "percent-encode"},
		{"foo:u:hunter2@h", "foo:***@h", "path", "after the scheme comes //"},
	} {
		_, err := transport.ParseURL(c.in)
		var e *transport.URLError
		if !errors.As(err, &e) {
			t.Errorf("%s: error %v is no *URLError", c.in, err)
			continue
		}
		if e.URL != c.url || e.Part != c.part || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v\nwant url %q, part %q, and %q", c.in, err, c.url, c.part, c.says)
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error shows the password: %v", c.in, err)
		}
	}
}

// conforms: URL-19, URL-20
func TestURLReveal(t *testing.T) {
	t.Parallel()
	bob := transport.Host{Hostname: "host", Port: 10, Username: "bob", Password: "secret", HasUsername: true, HasPassword: true}
	for _, c := range []struct {
		url  transport.URL
		want string
	}{
		{transport.URL{}, "t:///"},
		{transport.URL{VirtualHost: "/vhost"}, "t:////vhost"},
		{transport.URL{VirtualHost: "/", Hosts: []transport.Host{bob}}, "t://bob:secret@host:10//"},
		{transport.URL{VirtualHost: "a b/ü~"}, "t:///a%20b/%C3%BC~"},
		{transport.URL{Hosts: []transport.Host{host("a", 0), host("b", 2), host("ffff::1", 0), host("ffff::1", 9), host("h:1:2", 0)}}, "t://a,b:2,[ffff::1],[ffff::1]:9,h:1:2/"},
		{transport.URL{Hosts: []transport.Host{login("", "p/@:", "h")}}, "t://:p%2F%40%3A@h/"},
		{transport.URL{Hosts: []transport.Host{{HasPassword: true, Password: "p", Hostname: "h"}}}, "t://:p@h/"},
		{transport.URL{Hosts: []transport.Host{{HasUsername: true, Username: "u", Hostname: "h"}}}, "t://u@h/"},
		{transport.URL{Query: []transport.Option{{"l", "1,2"}, {"a b", "+"}}}, "t:///?l=1%2C2&a+b=%2B"},
	} {
		c.url.Scheme = "t"
		if got := c.url.Reveal(); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

// conforms: ODD-55
func TestPrintingAURLShowsNoSecrets(t *testing.T) {
	t.Parallel()
	u, err := transport.ParseURL("foo://u:hunter2@h:1,:hunter2@g/v?ssl_key_password=hunter2&auth_token=hunter2&ssl=1")
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(u)
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("connecting", "url", u, "host", u.Hosts[0], "hosts", u.Hosts)
	const want = "foo://u:***@h:1,:***@g/v?ssl_key_password=***&auth_token=***&ssl=1"
	if u.String() != want {
		t.Errorf("got %s, want %s", u, want)
	}
	for _, shown := range []string{
		fmt.Sprint(u), fmt.Sprint(*u), fmt.Sprintf("%+v %#v %q", *u, *u, *u), fmt.Sprintf("%v %#v", u.Hosts, u.Hosts), string(asJSON), logged.String(),
	} {
		if strings.Contains(shown, "hunter2") || !strings.Contains(shown, "***") {
			t.Errorf("the password shows, or nothing does: %s", shown)
		}
	}
}

// A slash too many makes credentials part of the virtual host.
func TestPrintingAMistypedURLShowsNoSecrets(t *testing.T) {
	t.Parallel()
	u, err := transport.ParseURL("rabbit:///u:hunter2@h/v")
	if err != nil {
		t.Fatal(err)
	}
	if got := u.String(); strings.Contains(got, "hunter2") || !strings.HasSuffix(got, "h/v") {
		t.Errorf("shown as %s", got)
	}
	if u.VirtualHost != "u:hunter2@h/v" || !strings.Contains(u.Reveal(), "hunter2") {
		t.Errorf("virtual host %q, revealed as %s", u.VirtualHost, u.Reveal())
	}
}

func TestURLEqual(t *testing.T) {
	t.Parallel()
	parse := func(s string) *transport.URL {
		u, err := transport.ParseURL(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for _, c := range []struct {
		a, b string
		want bool
	}{
		// conforms: URL-18
		{"foo://u:p@h:1/v?a=1", "foo://u:p@h:1/v?b=2", true},
		{"foo://h/v", "bar://h/v", false},
		{"foo://h/v", "foo://h/w", false},
		{"foo://h", "foo://h/", false},
		// conforms: URL-21
		{"foo://g/", "foo://h/", false},
		{"foo://h:1/", "foo://h:2/", false},
		{"foo://u:p@h/", "foo://v:p@h/", false},
		{"foo://u:p@h/", "foo://u:q@h/", false},
		{"foo://u@h/", "foo://u:@h/", false},
		{"foo://g,h/", "foo://h,g/", false},
	} {
		if got := parse(c.a).Equal(*parse(c.b)); got != c.want {
			t.Errorf("%s equals %s: %t, want %t", c.a, c.b, got, c.want)
		}
	}
}

// conforms: URL-22
func TestURLDriver(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"kombu+memory://": "kombu", "rabbit+foo://": "rabbit", "nats://": "nats"} {
		u, err := transport.ParseURL(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := u.Driver(); got != want {
			t.Errorf("%s: driver %s, want %s", in, got, want)
		}
	}
}

func TestHostAddr(t *testing.T) {
	t.Parallel()
	if got := host("h", 0).Addr(5672); got != "h:5672" {
		t.Errorf("got %s, want the default port", got)
	}
	if got := host("ffff::1", 1).Addr(5672); got != "[ffff::1]:1" {
		t.Errorf("got %s, want brackets and the port given", got)
	}
}

// What was read and formatted is read as the same again, and no password shows when it is printed.
func FuzzParseURL(f *testing.F) {
	for _, s := range []string{
		"rabbit://guest:guest@localhost:5672//?ssl=true&l=1&l=2", "foo:////", "foo://@h:0,u:@[::1]:1,:p@h:1:2/a%2Fb%zz", "foo://[fe80::1%25eth0]/", "foo_bar://u:p@h", "a:/?+=+", "foo://[a:b],:0",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := transport.ParseURL(s)
		if err != nil {
			var e *transport.URLError
			if !errors.As(err, &e) {
				t.Fatalf("error %v is no *URLError", err)
			}
			return
		}
		text := u.Reveal()
		again, err := transport.ParseURL(text)
		if err != nil {
			t.Fatalf("%q became %q: %v", s, text, err)
		}
		want := *u
		want.HasVirtualHost = true
		if diff := cmp.Diff(want, *again); diff != "" {
			t.Fatalf("%q became %q (-first +again):\n%s", s, text, diff)
		}
		for i := range u.Hosts {
			u.Hosts[i].Password = ""
		}
		if a, b := u.String(), again.String(); a != b {
			t.Fatalf("the password shows: %s", b)
		}
	})
}
