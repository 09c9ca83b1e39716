package management_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/management"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

// TestErrorsSayWhatToDo is about failures of all kinds, told by a real broker where it can.
func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	node := brokertest.RabbitManaged(t)
	vhost := node.NewVhost(t)
	for user, tags := range map[string]string{"bare-errors": "", "seer-errors": "monitoring", "manager-errors": "management"} {
		node.AddUser(t, user, user)
		node.Eval(t, `rabbit_auth_backend_internal:set_tags(<<"`+user+`">>, [`+tags+`], <<"brokertest">>)`)
	}
	nginx := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }))
	t.Cleanup(nginx.Close)
	proxy := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(proxy.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	tls := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(tls.Close)

	queues := func(c *management.Client) error {
		_, err := c.Queues(t.Context())
		return err
	}
	nodes := func(c *management.Client) error {
		_, err := c.Nodes(t.Context())
		return err
	}
	describe := func(c *management.Client) error {
		_, err := c.DescribeVhost(t.Context())
		return err
	}
	tests := []struct {
		name, url, user, password, vhost string
		ask                              func(*management.Client) error
		want                             management.Problem
		says                             string
	}{
		{"nobody listens", gone.URL, "guest", "s3cret", vhost, queues, management.Unreachable, "rabbitmq-plugins enable rabbitmq_management"},
		{"a web server", nginx.URL, "guest", "s3cret", vhost, queues, management.NotManagement, "--management http"},
		{"a proxy that knows nothing of it", proxy.URL, "guest", "s3cret", vhost, queues, management.NotManagement, "--management http"},
		{"the port of AMQP", "http://" + node.Addr(), "guest", "s3cret", vhost, queues, management.NotManagement, "--management http"},
		{"a certificate of nobody's", tls.URL, "guest", "s3cret", vhost, queues, management.BadTLS, "ssl_ca_file"},
		{"TLS where there is none", strings.Replace(node.ManagementURL(), "http:", "https:", 1), "guest", "s3cret", vhost, queues, management.NotManagement, "--management"},
		{"a wrong password", node.ManagementURL(), "guest", "s3cret", vhost, queues, management.Unauthorized, `password of user "guest"`},
		{"a user without a tag", node.ManagementURL(), "bare-errors", "bare-errors", vhost, queues, management.Forbidden, "set_user_tags bare-errors monitoring"},
		{"a user with too little a tag", node.ManagementURL(), "manager-errors", "manager-errors", vhost, nodes, management.Forbidden, "set_user_tags manager-errors monitoring"},
		{"no such virtual host", node.ManagementURL(), "guest", "guest", "nonesuch", describe, management.NoVhost, "list_vhosts"},
		{"a virtual host of others", node.ManagementURL(), "seer-errors", "seer-errors", vhost, queues, management.NoVhost, "list_permissions -p " + vhost},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, err := management.New(management.Config{URL: test.url, Username: test.user, Password: test.password, Vhost: test.vhost})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			err = test.ask(c)
			var problem *management.Error
			if !errors.As(err, &problem) {
				t.Fatalf("got %v, want a *management.Error", err)
			}
			if problem.Problem != test.want {
				t.Errorf("it is %v, want %v: %v", problem.Problem, test.want, err)
			}
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %q, which does not say %q", err, test.says)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the password is in %q", err)
			}
		})
	}
}

// TestTLS is about whom the client believes, and that it says who it is to nobody else.
func TestTLS(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	broker := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if user, password, _ := r.BasicAuth(); user != "seer" || password != "s3cret" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"name":"seer","tags":"monitoring,policymaker"}`))
	}))
	t.Cleanup(broker.Close)
	elsewhere := httptest.NewServer(http.RedirectHandler(broker.URL+"/api/whoami", http.StatusTemporaryRedirect))
	t.Cleanup(elsewhere.Close)

	trust := broker.Client().Transport.(*http.Transport).TLSClientConfig
	c, err := management.New(management.Config{URL: strings.Replace(broker.URL, "https://", "https://seer:s3cret@", 1) + "/", TLS: trust})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	user, err := c.Whoami(t.Context())
	if err != nil || user.Name != "seer" || !slices.Equal(user.Tags, management.Tags{"monitoring", "policymaker"}) {
		t.Errorf("got %+v, %v", user, err)
	}
	if strings.Contains(c.URL(), "s3cret") {
		t.Errorf("the password is in %s", c.URL())
	}
	redirected, err := management.New(management.Config{URL: elsewhere.URL, Username: "seer", Password: "s3cret", TLS: trust})
	if err != nil {
		t.Fatal(err)
	}
	defer redirected.Close()
	if _, err := redirected.Whoami(t.Context()); err == nil || asked.Load() != 1 || !strings.Contains(err.Error(), "it sends us to "+broker.URL) {
		t.Errorf("a redirect was followed, or is not told: %v", err)
	}
}

// TestURLsThatCannotBe is about what is refused before anything is connected to.
func TestURLsThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "localhost:15672", "amqp://x:s3cret@h:5672", "http://", "http://u:s3%zzcret@h/", "http://u:s3cret @h:x/", "ann:s3cret@h:15672"} {
		_, err := management.New(management.Config{URL: url})
		if err == nil {
			t.Errorf("%q is taken", url)
			continue
		}
		if strings.Contains(err.Error(), "s3") {
			t.Errorf("the password is in %q", err)
		}
	}
}

// TestListsComeInPages is about a virtual host with more than fits into one page, and the number of requests for it.
func TestListsComeInPages(t *testing.T) {
	t.Parallel()
	node := brokertest.RabbitManaged(t)
	vhost := node.NewVhost(t)
	const many = 1100
	node.Eval(t, `[{new, _} = rabbit_amqqueue:declare(rabbit_misc:r(<<"`+vhost+`">>, queue, list_to_binary(io_lib:format("q~4..0w", [N]))), false, false, [], none, <<"brokertest">>) ||
		N <- lists:seq(1, 1100)], ok`)
	target, err := url.Parse(node.ManagementURL())
	if err != nil {
		t.Fatal(err)
	}
	var requests atomic.Int32
	forward := httputil.NewSingleHostReverseProxy(target)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	c, err := management.New(management.Config{URL: proxy.URL, Vhost: vhost})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	queues, err := c.Queues(t.Context())
	if err != nil || len(queues) != many {
		t.Errorf("got %d queues (%v), want %d", len(queues), err, many)
	}
	if n := requests.Load(); n != 3 {
		t.Errorf("it took %d requests, want 3", n)
	}
}

// TestListsAreWholeOrNone is about a page that the broker, or what stands before it, could not give.
func TestListsAreWholeOrNone(t *testing.T) {
	t.Parallel()
	var status atomic.Int32
	broker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("page") == "2" {
			w.WriteHeader(int(status.Load()))
			return
		}
		_, _ = w.Write([]byte(`{"page_count":2,"items":[{"name":"q"}]}`))
	}))
	t.Cleanup(broker.Close)
	c, err := management.New(management.Config{URL: broker.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	status.Store(http.StatusBadRequest) // the broker's word for a page that is beyond the end
	if queues, err := c.Queues(t.Context()); err != nil || len(queues) != 1 {
		t.Errorf("of a list that has become shorter: %+v, %v", queues, err)
	}
	status.Store(http.StatusServiceUnavailable)
	if queues, err := c.Queues(t.Context()); err == nil {
		t.Errorf("half a list is passed off as all of it: %+v", queues)
	}
}

// TestTimes is about the forms in which brokers write times.
func TestTimes(t *testing.T) {
	t.Parallel()
	want := time.Date(2026, 11, 2, 13, 5, 6, 0, time.UTC)
	for _, text := range []string{`"2026-11-02 13:05:06"`, `"2026-11-02T13:05:06.000+00:00"`, `"2026-11-2 13:5:6"`, `"2026-11-02T13:05:06Z"`} {
		var got management.Time
		if err := got.UnmarshalJSON([]byte(text)); err != nil || !got.Equal(want) {
			t.Errorf("%s: got %v and %v", text, got, err)
		}
	}
	for _, text := range []string{`null`, `""`, `"undefined"`, `7`, `[]`} {
		var got management.Time
		if err := got.UnmarshalJSON([]byte(text)); err != nil || !got.IsZero() {
			t.Errorf("%s: got %v and %v", text, got, err)
		}
	}
}
