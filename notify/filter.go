package notify

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/goslo/goslo/wire"
)

// A Filter says which notifications a handler wants, by regular expressions in Go's syntax, which need to match from the beginning of
// the value but not up to its end, as upstream's: "compute" matches "compute.host-1", "host" does not (NFIL-02). All that are given must match. An
// empty pattern is none.
type Filter struct {
	Publisher string
	Type      string
	// By member: of the request context, of the payload if that is an object, and of the metadata, which are "message_id" and
	// "timestamp". A member that is missing, or no string, does not match (NFIL-03).
	Context, Payload, Metadata map[string]string
}

// A matcher is a filter, compiled.
type matcher struct {
	publisher, kind            *regexp.Regexp
	context, payload, metadata map[string]*regexp.Regexp
}

func (f *Filter) compile() (*matcher, error) {
	m := new(matcher)
	var err error
	if m.publisher, err = compile("Publisher", f.Publisher); err != nil {
		return nil, err
	}
	if m.kind, err = compile("Type", f.Type); err != nil {
		return nil, err
	}
	for _, part := range []struct {
		name     string
		patterns map[string]string
		to       *map[string]*regexp.Regexp
	}{{"Context", f.Context, &m.context}, {"Payload", f.Payload, &m.payload}, {"Metadata", f.Metadata, &m.metadata}} {
		all := make(map[string]*regexp.Regexp, len(part.patterns))
		for _, key := range slices.Sorted(maps.Keys(part.patterns)) {
			// An empty pattern of a member matches any string, but the member has to be there.
			if all[key], err = regexp.Compile(`\A(?:` + part.patterns[key] + `)`); err != nil {
				return nil, fmt.Errorf("notify: filter: %s[%q]: %w", part.name, key, err)
			}
		}
		*part.to = all
	}
	return m, nil
}

// compile anchors a pattern at the beginning.
func compile(name, pattern string) (*regexp.Regexp, error) {
	if pattern == "" {
		return nil, nil //nolint:nilnil // none matches all
	}
	re, err := regexp.Compile(`\A(?:` + pattern + `)`)
	if err != nil {
		return nil, fmt.Errorf("notify: filter: %s: %w", name, err)
	}
	return re, nil
}

func (m *matcher) matches(n *Raw) bool {
	return matchText(m.publisher, n.Publisher) && matchText(m.kind, n.Type) &&
		matchMetadata(m.metadata, n) && matchMembers(m.context, n.Context.JSON()) && matchMembers(m.payload, n.Payload)
}

// matchText matches a text that "" stands for the absence of.
func matchText(re *regexp.Regexp, text string) bool {
	return re == nil || text != "" && re.MatchString(text)
}

func matchMetadata(rules map[string]*regexp.Regexp, n *Raw) bool {
	for key, re := range rules {
		text := ""
		switch key {
		case "message_id":
			text = n.ID
		case "timestamp":
			text = n.Timestamp
		}
		if !matchText(re, text) {
			return false
		}
	}
	return true
}

func matchMembers(rules map[string]*regexp.Regexp, object json.RawMessage) bool {
	if len(rules) == 0 {
		return true
	}
	var members map[string]json.RawMessage
	if wire.Unmarshal(object, &members) != nil {
		return false
	}
	for key, re := range rules {
		var text *string
		if wire.Unmarshal(members[key], &text) != nil || text == nil || !re.MatchString(*text) {
			return false
		}
	}
	return true
}
