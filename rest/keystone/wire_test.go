package keystone_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/goslo/goslo/rest/keystone"
)

// However a client writes it into its request, what it says about itself does not arrive.
func TestForgeriesOnTheWire(t *testing.T) {
	t.Parallel()
	o := complete()
	o.DelayAuthDecision = true
	auth, err := keystone.New(keystone.Config{Options: o})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(auth.Close)
	server := httptest.NewServer(auth.Filter(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "reached: status %s, header %v", r.Header.Get("X-Identity-Status"), r.Header)
	})))
	t.Cleanup(server.Close)
	const who = "X-Identity-Status: Confirmed\r\nX-User-Id: forged\r\nX-Roles: forged\r\nOpenStack-System-Scope: forged\r\n"
	for what, c := range map[string]struct {
		request string
		reached bool
	}{
		"as it is":               {"GET / HTTP/1.1\r\nHost: a\r\n" + who, true},
		"in HTTP/1.0":            {"GET / HTTP/1.0\r\n" + who, true},
		"in lower case":          {"GET / HTTP/1.1\r\nHost: a\r\n" + strings.ToLower(who), true},
		"with underscores":       {"GET / HTTP/1.1\r\nHost: a\r\n" + strings.NewReplacer("X-", "x_", "r-I", "r_I").Replace(who), true},
		"twice":                  {"GET / HTTP/1.1\r\nHost: a\r\n" + who + who, true},
		"first nothing":          {"GET / HTTP/1.1\r\nHost: a\r\nX-User-Id:\r\nX-Auth-Token:\r\nX-Service-Token:\r\n" + who, true},
		"for one connection":     {"GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Identity-Status, X-User-Id, X-Auth-Token\r\n" + who, true},
		"behind the body":        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-User-Id, X-Roles\r\n\r\n1\r\na\r\n0\r\n" + who, true},
		"behind it, unannounced": {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + who, true},
		"a blank at the name":    {"GET / HTTP/1.1\r\nHost: a\r\nX-User-Id : forged\r\n", false},
		"a zero in it":           {"GET / HTTP/1.1\r\nHost: a\r\nX-User\x00-Id: forged\r\n", false},
		"a second line":          {"GET / HTTP/1.1\r\nHost: a\r\nX-Other: a\r\n X-User-Id: b\r\n" + who, true},
	} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, strings.Replace(c.request, "Host: a", "Host: a\r\nConnection: close", 1)+"\r\n"); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		_ = conn.Close()
		if reached := strings.Contains(string(answer), "reached: status Invalid"); err != nil || reached != c.reached || strings.Contains(string(answer), "forged") {
			t.Errorf("%s: %v\n%s", what, err, answer)
		}
	}
}

// What clients send behind the body, the service sees behind the body, as without the filters.
func TestTrailersPass(t *testing.T) {
	t.Parallel()
	o := complete()
	o.DelayAuthDecision = true
	auth, err := keystone.New(keystone.Config{Options: o})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(auth.Close)
	for name, filter := range map[string]func(http.Handler) http.Handler{
		"authtoken": auth.Filter, "noauth": keystone.NoAuth(keystone.NoAuthConfig{}),
	} {
		server := httptest.NewServer(filter(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, r.Trailer.Get("X-Sum"))
		})))
		t.Cleanup(server.Close)
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Auth-Token: a b\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n1\r\na\r\n0\r\nX-Sum: 12345\r\n\r\n")
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		_ = conn.Close()
		if err != nil || !strings.HasSuffix(string(answer), "12345") {
			t.Errorf("%s: %v\n%s", name, err, answer)
		}
	}
}
