package keystone_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/rest"
	"github.com/goslo/goslo/rest/keystone"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

// options are those of the service user, whom Keystone lets validate tokens.
func options(t *testing.T, k *brokertest.KeystoneNode) keystone.Options {
	t.Helper()
	user := k.ServiceUser(t)
	o := keystone.Defaults()
	o.AuthURL, o.Username, o.Password = k.URL(), user.Name, config.NewSecret(user.Password)
	o.ProjectName, o.UserDomainName, o.ProjectDomainID = user.ProjectName, "Default", "default"
	o.RegionName = "RegionOne"
	o.WWWAuthenticateURI = "https://public.example.com/identity"
	return o
}

// A log is what a filter logs, for looking at it.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// An api is a service behind filters, which answers with what it was told about the request.
type api struct {
	filter func(http.Handler) http.Handler
	log    *log
}

// An answer is that of an api.
type answer struct {
	status int
	header http.Header
	body   string

	Reached bool
	Header  http.Header
	Context map[string]any
}

func newAPI(t *testing.T, o keystone.Options) api {
	t.Helper()
	logged := new(log)
	auth, err := keystone.New(keystone.Config{Options: o, Logger: slog.New(slog.NewTextHandler(logged, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(auth.Close)
	return api{auth.Filter, logged}
}

// with is the api behind one more filter.
func (a api) with(filter func(http.Handler) http.Handler) api {
	outer := a.filter
	return api{func(next http.Handler) http.Handler { return outer(filter(next)) }, a.log}
}

// get asks the api, with the header's names and values in turn.
func (a api) get(t *testing.T, header ...string) answer {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/orders", http.NoBody)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header[header[i]] = append(r.Header[header[i]], header[i+1])
	}
	before := r.Header.Clone()
	w := httptest.NewRecorder()
	a.filter(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"Reached": true, "Header": r.Header, "Context": rest.ContextFrom(r.Context())})
	})).ServeHTTP(w, r)
	if len(before) != len(r.Header) {
		t.Errorf("the caller's header was changed: %v, it was %v", r.Header, before)
	}
	said := answer{status: w.Code, header: w.Header(), body: w.Body.String()}
	if w.Code == http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil {
			t.Fatalf("%v: %s", err, said.body)
		}
	}
	if (w.Code == http.StatusOK) != said.Reached {
		t.Errorf("%d, and the service was reached: %v", w.Code, said.Reached)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if token := header[i+1]; len(token) > 40 && (strings.Contains(a.log.String(), token) || w.Code != http.StatusOK && strings.Contains(said.body, token)) {
			t.Errorf("the token of %s was logged or told: %s\n%s", header[i], a.log, said.body)
		}
	}
	return said
}

// A window is a way to Keystone at which one sees what is asked, and may change what is answered.
type window struct {
	*httptest.Server
	mu      sync.Mutex
	logins  int
	asked   []http.Header // of validations
	instead func(w http.ResponseWriter, r *http.Request) bool
}

// newWindow returns a way that the options take, for logging in and for validations.
func newWindow(t *testing.T, k *brokertest.KeystoneNode, o *keystone.Options) *window {
	t.Helper()
	there, err := url.Parse(k.URL())
	if err != nil {
		t.Fatal(err)
	}
	through := httputil.NewSingleHostReverseProxy(there)
	through.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	w := new(window)
	w.Server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		if r.Method == http.MethodPost {
			w.logins++
		} else {
			w.asked = append(w.asked, r.Header.Clone())
		}
		instead := w.instead
		w.mu.Unlock()
		if instead == nil || !instead(out, r) {
			through.ServeHTTP(out, r)
		}
	}))
	t.Cleanup(func() {
		w.Close()
		if transport, ok := http.DefaultTransport.(*http.Transport); ok {
			transport.CloseIdleConnections()
		}
	})
	o.AuthURL, o.RegionName = w.URL+"/v3", k.NewEndpoint(t, w.URL)
	return w
}

// seen is how many logins and validations there were.
func (w *window) seen() (logins, validations int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.logins, len(w.asked)
}

// before has f called before the next validation is passed on.
func (w *window) before(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var once sync.Once
	w.instead = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			once.Do(f)
		}
		return false
	}
}

// answer has validations answered by f.
func (w *window) answer(f func(out http.ResponseWriter)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.instead = func(out http.ResponseWriter, r *http.Request) bool {
		if f == nil || r.Method != http.MethodGet {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		f(out)
		return true
	}
}
