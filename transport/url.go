package transport

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// A URL says which bus to use and how: scheme://[user[:password]@]host[:port][,...]/virtual_host?option=value.
// It is oslo.messaging's transport_url (conformance rows URL-01 to URL-38), oddities included.
//
// Printing a URL, by fmt, log/slog or encoding/json, never shows its secrets; see [URL.Reveal].
type URL struct {
	Scheme string // lower case, with everything from a "+" on; see [URL.Driver]
	Hosts  []Host // in the order given; empty when the URL names none

	// VirtualHost is the path without its first slash, decoded. HasVirtualHost tells an empty path
	// ("rabbit://h/") from none ("rabbit://h").
	VirtualHost    string
	HasVirtualHost bool

	// Query holds the options in the order given; see [URL.Options].
	Query []Option
}

// A Host is one place where the bus may be reached. It is comparable.
type Host struct {
	Hostname string // as written, IPv6 without its brackets; "" when only credentials or a port were given
	Port     int    // 0 = none given. The range is not checked, as upstream (URL-14)

	// Credentials belong to this host alone (URL-11). Has... tells empty ("u:@h") from absent ("u@h").
	Username, Password       string
	HasUsername, HasPassword bool
}

// An Option is one name=value of a URL's query, decoded. Values of a repeated name are joined with commas.
type Option struct{ Name, Value string }

// A URLError says what is wrong with a URL, and where. It holds no secrets.
type URLError struct {
	URL    string // the URL as given, with whatever may be a secret replaced by ***
	Part   string // where: "scheme", "path", "host 2 of 3", "port of host 1 of 1"
	Reason string // what, and what to do
}

// Error names the URL, the part and the reason.
func (e *URLError) Error() string {
	return "transport url " + strconv.Quote(e.URL) + ": " + e.Part + ": " + e.Reason
}

// ParseURL reads a transport URL. Where it may be misread by a person, it reads as upstream does:
// credentials end at the last "@" of a host and split at their first ":", a host with two colons or more is
// an IPv6 address without a port, options with empty values and the fragment are dropped.
//
// The error is a *[URLError].
func ParseURL(s string) (*URL, error) {
	// A line break or tab has no meaning in a URL; Python's parser drops them too.
	text := strings.TrimSpace(strings.NewReplacer("\t", "", "\r", "", "\n", "").Replace(s))
	fail := func(part, reason string) (*URL, error) {
		return nil, &URLError{URL: redactText(text), Part: part, Reason: reason}
	}
	scheme, rest, ok := cutScheme(text)
	if !ok {
		return fail("scheme", "there is none; start with the name of a transport, such as rabbit://")
	}
	u := &URL{Scheme: scheme}
	rest, _, _ = strings.Cut(rest, "#")
	var authority, query string
	if after, found := strings.CutPrefix(rest, "//"); found {
		end := strings.IndexAny(after, "/?")
		if end < 0 {
			end = len(after)
		}
		authority, rest = after[:end], after[end:]
	}
	rest, query, _ = strings.Cut(rest, "?")
	if rest != "" {
		if rest[0] != '/' {
			return fail("path", "after the scheme comes // and a host, or /")
		}
		u.VirtualHost, u.HasVirtualHost = unescape(rest[1:]), true
	}
	if err := u.parseHosts(authority); err != nil {
		return fail(err.Part, err.Reason)
	}
	u.parseQuery(query)
	return u, nil
}

// cutScheme splits at the first colon. Text that is no scheme in front of it means that there is none.
func cutScheme(s string) (scheme, rest string, ok bool) {
	i := strings.IndexByte(s, ':')
	if i <= 0 || !isLetter(s[0]) {
		return "", "", false
	}
	for _, c := range []byte(s[:i]) {
		if !isLetter(c) && (c < '0' || c > '9') && c != '+' && c != '-' && c != '.' {
			return "", "", false
		}
	}
	return strings.ToLower(s[:i]), s[i+1:], true
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// parseHosts fills u.Hosts. Its error lacks the URL.
func (u *URL) parseHosts(authority string) *URLError {
	const encode = "; a user or password must percent-encode any of / ? # , [ ] in it"
	if strings.Contains(authority, "[") != strings.Contains(authority, "]") {
		return &URLError{Part: "hosts", Reason: "[ and ] must enclose an IPv6 address" + encode}
	}
	pieces := slices.DeleteFunc(strings.Split(authority, ","), func(s string) bool { return s == "" })
	for i, piece := range pieces {
		var h Host
		if at := strings.LastIndexByte(piece, '@'); at >= 0 {
			user, password, found := strings.Cut(piece[:at], ":")
			h.Username, h.HasUsername = unescape(user), true
			h.Password, h.HasPassword = unescape(password), found
			piece = piece[at+1:]
		}
		where := "host " + strconv.Itoa(i+1) + " of " + strconv.Itoa(len(pieces))
		hostname, port, hasPort, ok := splitHostPort(piece)
		if !ok {
			return &URLError{Part: where, Reason: "[ and ] must enclose an IPv6 address, followed by nothing or : and a port" + encode}
		}
		h.Hostname = hostname
		if hasPort {
			n, err := strconv.Atoi(port)
			if err != nil {
				// The text is not quoted: it may be the start of a password that holds a slash (URL-16).
				return &URLError{Part: "port of " + where, Reason: "not a number" + encode}
			}
			h.Port = n
		}
		u.Hosts = append(u.Hosts, h)
	}
	return nil
}

func splitHostPort(s string) (host, port string, hasPort, ok bool) {
	if rest, found := strings.CutPrefix(s, "["); found {
		host, after, closed := strings.Cut(rest, "]")
		if !closed || host == "" || strings.ContainsAny(host+after, "[]") {
			return "", "", false, false
		}
		port, hasPort = strings.CutPrefix(after, ":")
		return host, port, hasPort, hasPort || after == ""
	}
	if strings.ContainsAny(s, "[]") {
		return "", "", false, false
	}
	if strings.Count(s, ":") == 1 {
		host, port, _ = strings.Cut(s, ":")
		return host, port, true, true
	}
	return s, "", false, true
}

func (u *URL) parseQuery(query string) {
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if value == "" {
			continue
		}
		name = unescape(strings.ReplaceAll(name, "+", " "))
		value = unescape(strings.ReplaceAll(value, "+", " "))
		if i := slices.IndexFunc(u.Query, func(o Option) bool { return o.Name == name }); i >= 0 {
			u.Query[i].Value += "," + value
		} else {
			u.Query = append(u.Query, Option{Name: name, Value: value})
		}
	}
}

// Driver is the name that chooses the transport: the scheme up to its first "+" (URL-22).
func (u URL) Driver() string {
	name, _, _ := strings.Cut(u.Scheme, "+")
	return name
}

// Equal says whether both name the same scheme, hosts with credentials, and virtual host. The query does not count (URL-18).
func (u URL) Equal(v URL) bool {
	return u.Scheme == v.Scheme && u.VirtualHost == v.VirtualHost && u.HasVirtualHost == v.HasVirtualHost && slices.Equal(u.Hosts, v.Hosts)
}

// Reveal formats the URL, secrets included, so that ParseURL reads the same again. An absent virtual host
// comes out as an empty one (URL-19).
func (u URL) Reveal() string { return u.format(false) }

// String is Reveal with *** in place of passwords and of the values of options that look like secrets.
func (u URL) String() string { return u.format(true) }

// GoString is String, so that %#v shows no secrets either.
func (u URL) GoString() string { return u.String() }

// MarshalText is String, so that structured logs and JSON show no secrets either.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

func (u URL) format(redact bool) string {
	b := append([]byte(u.Scheme), "://"...)
	for i, h := range u.Hosts {
		if i > 0 {
			b = append(b, ',')
		}
		b = h.append(b, redact)
	}
	b = append(b, '/')
	vhost := u.VirtualHost
	if at := strings.LastIndexByte(vhost, '@'); redact && at >= 0 {
		// A slash too many before user:password@host makes that the virtual host.
		b, vhost = append(b, mask...), vhost[at:]
	}
	b = appendEscaped(b, vhost, '/', 0)
	for i, o := range u.Query {
		if i == 0 {
			b = append(b, '?')
		} else {
			b = append(b, '&')
		}
		b = append(appendEscaped(b, o.Name, 0, '+'), '=')
		if redact && isSecret(o.Name) {
			b = append(b, mask...)
		} else {
			b = appendEscaped(b, o.Value, 0, '+')
		}
	}
	return string(b)
}

// Addr is host:port for a dialer, with the port that is meant when the URL gives none.
func (h Host) Addr(defaultPort int) string {
	port := h.Port
	if port == 0 {
		port = defaultPort
	}
	return net.JoinHostPort(h.Hostname, strconv.Itoa(port))
}

// String is the host as it stands in a URL, with *** in place of the password.
func (h Host) String() string { return string(h.append(nil, true)) }

// GoString is String, so that %#v shows no secrets either.
func (h Host) GoString() string { return h.String() }

// MarshalText is String, so that structured logs and JSON show no secrets either.
func (h Host) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

func (h Host) append(b []byte, redact bool) []byte {
	if h.HasUsername || h.HasPassword {
		b = appendEscaped(b, h.Username, 0, 0)
		if h.HasPassword {
			b = append(b, ':')
			if redact {
				b = append(b, mask...)
			} else {
				b = appendEscaped(b, h.Password, 0, 0)
			}
		}
		b = append(b, '@')
	}
	colons := strings.Count(h.Hostname, ":")
	if addr, err := netip.ParseAddr(h.Hostname); colons == 1 || colons > 0 && h.Port != 0 || err == nil && addr.Is6() {
		b = append(append(append(b, '['), h.Hostname...), ']')
	} else {
		b = append(b, h.Hostname...)
	}
	// A host of which nothing is known would vanish from the list.
	if h.Port != 0 || h == (Host{}) {
		b = strconv.AppendInt(append(b, ':'), int64(h.Port), 10)
	}
	return b
}

const mask = "***"

// isSecret says whether an option's value must not be shown, judged by its name.
func isSecret(option string) bool {
	option = strings.ToLower(option)
	return slices.ContainsFunc([]string{"pass", "secret", "token", "seed", "jwt", "cred"}, func(s string) bool {
		return strings.Contains(option, s)
	})
}

// redactText hides what may be a secret in text that is no valid URL: all before the last "@", else all
// after the first colon of the authority; and the query.
func redactText(s string) string {
	scheme, rest, ok := cutScheme(s)
	if ok {
		scheme += ":"
	} else {
		rest = s
	}
	if after, found := strings.CutPrefix(rest, "//"); found {
		scheme, rest = scheme+"//", after
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = mask + rest[at:]
	} else if i := strings.IndexByte(rest, ':'); i >= 0 {
		rest = rest[:i+1] + mask
	}
	if before, _, found := strings.Cut(rest, "?"); found {
		rest = before + "?" + mask
	}
	return scheme + rest
}

// unescape decodes %XX. What is no such escape stays as it is, as in Python's unquote.
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b = append(b, byte(n))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

// appendEscaped encodes everything but letters, digits, "_.-~" and safe (0 = none); a blank becomes space when that is set.
func appendEscaped(b []byte, s string, safe, space byte) []byte {
	const hex = "0123456789ABCDEF"
	for _, c := range []byte(s) {
		switch {
		case isLetter(c), '0' <= c && c <= '9', strings.IndexByte("_.-~", c) >= 0, safe != 0 && c == safe:
			b = append(b, c)
		case c == ' ' && space != 0:
			b = append(b, space)
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}
