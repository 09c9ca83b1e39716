package config

import (
	"errors"
	"net/netip"
	"reflect"
	"regexp"
	"strings"
)

// parseAddr reads what inet_pton does, as oslo_config/types.py, IPAddress: no zone, no leading zeros.
func parseAddr(s string) (reflect.Value, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return reflect.ValueOf(netip.Addr{}), errors.New("not an IP address")
	}
	return reflect.ValueOf(a), nil
}

func ipAddress(version int) func(string) (string, error) {
	return func(s string) (string, error) {
		a, err := netip.ParseAddr(s)
		switch {
		case version == 0 && (err != nil || a.Zone() != ""):
			return s, errors.New("not an IP address")
		case version == 4 && (err != nil || !a.Is4()):
			return s, errors.New("not an IPv4 address")
		case version == 6 && (err != nil || a.Is4() || a.Zone() != ""):
			return s, errors.New("not an IPv6 address")
		}
		return s, nil
	}
}

func hostAddress(s string) (string, error) {
	if _, err := ipAddress(0)(s); err == nil {
		return s, nil
	}
	name, err := domain(s, '-', '-')
	if err != nil {
		return s, errors.New("neither an IP address nor a host name")
	}
	return name, nil
}

func hostDomain(s string) (string, error) {
	if _, err := ipAddress(0)(s); err == nil {
		return s, nil
	}
	name, err := domain(s, '-', '_')
	if err != nil {
		return s, errors.New("neither an IP address nor a host or domain name")
	}
	return name, nil
}

func hostname(s string) (string, error) { return domain(s, '-', '-') }

// domain mirrors oslo_config/types.py, Hostname; labels have letters, digits, and the two characters. The dot at the end
// is dropped.
func domain(s string, other, another byte) (string, error) {
	wrong := errors.New("not a host name: at most 253 letters, digits, - and . in parts of 1 to 63 without - at an end, the last one not of digits only")
	if s == "" || len(s) > 253 {
		return s, wrong
	}
	s = strings.TrimSuffix(s, ".")
	labels := strings.Split(s, ".")
	if !strings.ContainsFunc(labels[len(labels)-1], func(r rune) bool { return r == '-' || isLetter(r) }) {
		return s, wrong
	}
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return s, wrong
		}
		for _, c := range []byte(label) {
			if !isLetter(rune(c)) && (c < '0' || c > '9') && c != other && c != another {
				return s, wrong
			}
		}
	}
	return s, nil
}

func isLetter(r rune) bool { return 'a' <= r|0x20 && r|0x20 <= 'z' }

// The parts of RFC 3986, as Python's rfc3986, which oslo asks, splits and checks them.
var (
	uriParts  = regexp.MustCompile(`^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(?://([^\\/?#]*))?([^?#]*)`)
	uriHost   = regexp.MustCompile(`^(?:(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})+@)?((?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*|\[[^\]]*\]):?(?:[0-9]{1,5})?$`)
	uriIPv4   = regexp.MustCompile(`^(?:[0-9]{1,3}\.){3}[0-9]{1,3}$`)
	uriZone   = regexp.MustCompile(`^(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})+$`)
	uriFuture = regexp.MustCompile(`^v[0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+$`)
)

// uri mirrors oslo_config/types.py, URI: a scheme and a host must be there, and nothing in them or the path out of place.
func uri(s string) (string, error) {
	parts := uriParts.FindStringSubmatch(s)
	switch {
	case parts == nil || parts[1] == "":
		return s, errors.New("not a URI: it has no scheme, such as https")
	case parts[2] == "":
		return s, errors.New("not a URI: it has no host")
	}
	host := uriHost.FindStringSubmatch(parts[2])
	if host == nil || !uriHostValid(host[1]) {
		return s, errors.New("not a URI: its host is not valid")
	}
	if strings.ContainsAny(parts[3], "[]") { // anything else is percent-encoded before it is looked at
		return s, errors.New("not a URI: [ and ] in its path must be percent-encoded")
	}
	return s, nil
}

func uriHostValid(host string) bool {
	if literal, ok := strings.CutPrefix(host, "["); ok {
		literal = strings.TrimSuffix(literal, "]")
		if uriFuture.MatchString(literal) {
			return true
		}
		address, zone, zoned := strings.Cut(literal, "%25")
		a, err := netip.ParseAddr(address)
		return err == nil && a.Is6() && a.Zone() == "" && (!zoned || uriZone.MatchString(zone))
	}
	if uriIPv4.MatchString(host) {
		for part := range strings.SplitSeq(host, ".") {
			if len(part) == 3 && part > "255" {
				return false
			}
		}
	}
	return true
}
