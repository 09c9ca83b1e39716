package rest

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// A Microversion is the version of an API that one request asks for: what is asked and answered may differ between any two.
type Microversion struct{ Major, Minor int }

var microversions = regexp.MustCompile(`^([1-9]\d{0,5})\.([1-9]\d{0,5}|0)$`)

// ParseMicroversion reads "2.53".
func ParseMicroversion(s string) (Microversion, error) {
	m := microversions.FindStringSubmatch(s)
	if m == nil {
		return Microversion{}, fmt.Errorf("rest: %q is no microversion, which is two numbers such as 2.53", s)
	}
	major, _ := strconv.Atoi(m[1]) // six digits at most
	minor, _ := strconv.Atoi(m[2])
	return Microversion{major, minor}, nil
}

// String returns "2.53", or "" of none.
func (v Microversion) String() string {
	if v == (Microversion{}) {
		return ""
	}
	return fmt.Sprintf("%d.%d", v.Major, v.Minor)
}

// Compare returns -1, 0 or 1.
func (v Microversion) Compare(other Microversion) int {
	return cmp.Or(cmp.Compare(v.Major, other.Major), cmp.Compare(v.Minor, other.Minor))
}

// AtLeast reports whether v is other, or later: rest.MicroversionFrom(ctx).AtLeast(2, 53).
func (v Microversion) AtLeast(major, minor int) bool {
	return v.Compare(Microversion{major, minor}) >= 0
}

// MicroversionFrom returns the microversion of the request that a handler answers; none in an API without them.
func MicroversionFrom(ctx context.Context) Microversion {
	if c := callFrom(ctx); c != nil {
		return c.version
	}
	return Microversion{}
}

// Microversions are those of an API. Clients ask for one in a header, OpenStack-API-Version: compute 2.53, or for "latest"; those who
// do not get Min. The zero value is an API without.
type Microversions struct {
	Service  string // the word for this API in the header, such as compute
	Min, Max string
	// LegacyHeader is an older header, with the version alone, such as X-OpenStack-Nova-API-Version. Default: none.
	LegacyHeader string
}

const headerVersion = "OpenStack-API-Version"

// A span is what Microversions are once they were read. The zero value is none.
type span struct {
	service, legacy string
	min, max        Microversion
}

func (m Microversions) parse() (span, error) {
	if m == (Microversions{}) {
		return span{}, nil
	}
	if m.Service == "" {
		return span{}, fmt.Errorf("rest: Microversions.Service: without it nobody can ask for one in %s", headerVersion)
	}
	s := span{service: m.Service, legacy: m.LegacyHeader}
	var err error
	if s.min, err = ParseMicroversion(m.Min); err != nil {
		return s, err
	}
	if s.max, err = ParseMicroversion(m.Max); err != nil {
		return s, err
	}
	if s.max.Compare(s.min) < 0 {
		return s, fmt.Errorf("rest: Microversions: Max %s is below Min %s", s.max, s.min)
	}
	return s, nil
}

// negotiate returns the version that a request asks for, and says so in the answer's header, as nova has it
// (nova/api/openstack/wsgi.py).
func (s span) negotiate(h http.Header, r *http.Request) (Microversion, error) {
	if s.min == (Microversion{}) {
		return Microversion{}, nil
	}
	h.Add("Vary", headerVersion)
	if s.legacy != "" {
		h.Add("Vary", s.legacy)
	}
	v, err := s.asked(r.Header)
	if err != nil {
		return v, err
	}
	h.Set(headerVersion, s.service+" "+v.String())
	if s.legacy != "" {
		h.Set(s.legacy, v.String())
	}
	return v, nil
}

func (s span) asked(h http.Header) (Microversion, error) {
	name, text := s.legacy, ""
	if s.legacy != "" {
		for one := range strings.SplitSeq(strings.Join(h.Values(s.legacy), ","), ",") {
			text = strings.TrimSpace(one)
		}
	}
	// One header may be for several services; the last one for this one counts (microversion_parse).
	for one := range strings.SplitSeq(strings.Join(h.Values(headerVersion), ","), ",") {
		one = strings.TrimSpace(one)
		if at := strings.IndexAny(one, " \t"); at > 0 && strings.EqualFold(one[:at], s.service) {
			name, text = headerVersion, strings.TrimSpace(one[at:])
		}
	}
	switch text {
	case "":
		return s.min, nil
	case "latest":
		return s.max, nil
	}
	v, err := ParseMicroversion(text)
	if err != nil {
		return v, FieldFault(name, "%q is no microversion, which is two numbers such as %s, or latest", text, s.max)
	}
	if v.Compare(s.min) < 0 || v.Compare(s.max) > 0 {
		f := Faultf(http.StatusNotAcceptable, "there is no version %s of this API, but those from %s to %s", v, s.min, s.max)
		f.MinVersion, f.MaxVersion = s.min.String(), s.max.String()
		return v, f
	}
	return v, nil
}
