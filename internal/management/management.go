// Package management reads RabbitMQ's management API, and makes the few changes that operators ask for by it.
//
// It owns requests, paging and errors that say what to do; what the answers mean for RPC is for internal/operator to say.
// Lists are asked for in pages and by columns, so that a broker with thousands of queues answers in a few requests of
// modest size. Statistics are those that the broker gathers every few seconds: counts may be as old as that, and a queue
// that was just declared has none.
//
// It starts no goroutines of its own.
package management

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The ports on which the plugin listens unless it is told otherwise.
const (
	DefaultPort    = 15672
	DefaultTLSPort = 15671
)

const (
	defaultTimeout = 30 * time.Second // of one request
	dialTimeout    = 5 * time.Second  // of its connection
)

// Config says where the API is, and as whom to ask.
type Config struct {
	// URL is http or https, host and port, and perhaps the prefix at which the plugin is served. A user and a password
	// in it come before those below. Default: none, it is needed.
	URL string
	// Username and Password are the broker's. Default: guest and guest.
	Username, Password string
	// Vhost is the virtual host that lists are of. Default: "", which is a name like others; the broker's own is "/".
	Vhost string
	// TLS says whom to believe for https. Default: the system's authorities.
	TLS *tls.Config
	// Timeout bounds one request, the connection included. Default: 30 s.
	Timeout time.Duration
}

// A Client asks one broker about one virtual host. Its methods are safe for concurrent use. Errors are of type *[Error],
// but those of a context that ended.
type Client struct {
	base               *url.URL // without credentials
	username, password string
	vhost              string
	timeout            time.Duration
	http               *http.Client
}

// New checks a configuration. It connects to nothing.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil:
		// The text is not quoted: it may hold a password.
		return nil, errors.New("management: the URL cannot be read; it is http://host:15672 or https://host:15671, with special characters of a user and a password percent-encoded")
	case u.Scheme != "http" && u.Scheme != "https":
		// Nor is it here: what stands before the first colon was taken for the scheme, and may be a user with a password behind it.
		return nil, errors.New("management: the URL does not begin with http:// or https://; the management API is at http://host:15672, or https://host:15671")
	case u.Hostname() == "":
		return nil, fmt.Errorf("management: %s names no host; write http://host:15672", u.Redacted())
	}
	m := &Client{username: c.Username, password: c.Password, vhost: c.Vhost, timeout: c.Timeout}
	if m.username == "" {
		m.username, m.password = "guest", "guest"
	}
	if u.User != nil {
		m.username = u.User.Username()
		m.password, _ = u.User.Password()
	}
	if m.timeout <= 0 {
		m.timeout = defaultTimeout
	}
	m.base = &url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), "/api")}
	m.http = &http.Client{
		Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext, TLSClientConfig: c.TLS, Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute},
		// A redirect of another's would get our credentials.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return m, nil
}

// URL is where the API is, without credentials.
func (c *Client) URL() string { return c.base.String() }

// Username is who asks.
func (c *Client) Username() string { return c.username }

// Vhost is the virtual host that lists are of.
func (c *Client) Vhost() string { return c.vhost }

// Close ends the connections that no request uses.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// path joins parts behind /api, each escaped as a whole.
func path(parts ...string) string {
	var b strings.Builder
	b.WriteString("/api")
	for _, p := range parts {
		b.WriteString("/" + url.PathEscape(p))
	}
	return b.String()
}

// do makes one request. body and result may be nil; result is a pointer, for a *http.Header to that of the answer.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, body, result any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, errTimeout)
	defer cancel()
	fail := func(problem Problem, status int, detail string) error {
		return &Error{Method: method, URL: c.base.String() + path, Problem: problem, Status: status, Detail: detail, Username: c.username, Vhost: c.vhost}
	}
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return fail(Refused, 0, err.Error())
		}
		content = bytes.NewReader(b)
	}
	address := c.base.String() + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, content)
	if err != nil {
		return fail(Refused, 0, err.Error())
	}
	req.SetBasicAuth(c.username, c.password)
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreached(ctx, err, fail)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return c.unreached(ctx, err, fail)
	case len(answer) > maxAnswer:
		return fail(Refused, resp.StatusCode, "the answer is longer than "+strconv.Itoa(maxAnswer>>20)+" MiB")
	case resp.StatusCode >= 300:
		problem, detail := refusal(resp.StatusCode, resp.Header, answer)
		return fail(problem, resp.StatusCode, detail)
	case result == nil:
		return nil
	}
	if header, ok := result.(*http.Header); ok {
		*header = resp.Header
		return nil
	}
	if err := json.Unmarshal(answer, result); err != nil {
		if !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
			return fail(NotManagement, resp.StatusCode, "the answer is "+resp.Header.Get("Content-Type"))
		}
		return fail(Refused, resp.StatusCode, "decode the answer: "+err.Error())
	}
	return nil
}

// maxAnswer is the most bytes of an answer that are read.
const maxAnswer = 256 << 20

var errTimeout = errors.New("no answer in time")

// unreached says why there was no answer.
func (c *Client) unreached(ctx context.Context, err error, fail func(Problem, int, string) error) error {
	var (
		network *net.OpError
		address *url.Error
	)
	if errors.As(err, &address) {
		err = address.Err // less the URL, which is told already
	}
	switch {
	case errors.Is(context.Cause(ctx), errTimeout):
		return fail(Unreachable, 0, "no answer within "+c.timeout.String())
	case ctx.Err() != nil:
		return fmt.Errorf("management: %s: %w", c.base, ctx.Err())
	case isTLS(err):
		return fail(BadTLS, 0, err.Error())
	case strings.Contains(err.Error(), "malformed HTTP"), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fail(NotManagement, 0, err.Error())
	case errors.As(err, &network):
		return fail(Unreachable, 0, network.Err.Error())
	}
	return fail(Unreachable, 0, err.Error())
}

func isTLS(err error) bool {
	var (
		certificate *tls.CertificateVerificationError
		alert       tls.AlertError
	)
	return errors.As(err, &certificate) || errors.As(err, &alert)
}

// refusal reads what the broker says of a request that it did not carry out. Its words in "reason" tell apart what one status
// stands for (rabbit_mgmt_util.erl): 401 is a wrong password as well as a user without the tag, or without the virtual host.
func refusal(status int, header http.Header, answer []byte) (Problem, string) {
	var said struct{ Error, Reason string }
	if json.Unmarshal(answer, &said) != nil {
		said.Reason, said.Error = "", ""
	}
	detail := said.Reason
	if detail == "" {
		detail = said.Error
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		switch {
		case said.Error == "" && header.Get("Www-Authenticate") == "":
			return NotManagement, http.StatusText(status)
		case strings.Contains(said.Reason, "virtual host"):
			return NoVhost, detail
		case strings.HasPrefix(said.Reason, "Not "): // such as "Not monitor user"
			return Forbidden, detail
		case status == http.StatusForbidden:
			return Forbidden, detail
		}
		return Unauthorized, detail
	case http.StatusNotFound:
		if said.Error == "" {
			return NotManagement, http.StatusText(status)
		}
		return NotFound, detail
	}
	if to, err := url.Parse(header.Get("Location")); err == nil && status < http.StatusBadRequest && to.Host != "" {
		return NotManagement, "it sends us to " + to.Scheme + "://" + to.Host
	}
	if detail == "" {
		detail = http.StatusText(status)
	}
	return Refused, detail
}
