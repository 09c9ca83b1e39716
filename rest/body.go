package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/goslo/goslo/internal/nearest"
)

// encodeCompact is encode without the newline.
func encodeCompact(v any) (json.RawMessage, error) {
	raw, err := encode(v)
	return bytes.TrimSuffix(raw, []byte("\n")), err
}

// body reads the request's body, which is to be JSON. A request may leave out what it is, but not say that it is something else.
func (c *call) body() ([]byte, error) {
	if kind := c.request.Header.Get("Content-Type"); kind != "" {
		media, _, err := mime.ParseMediaType(kind)
		if err != nil || media != "application/json" && !strings.HasSuffix(media, "+json") {
			return nil, Faultf(http.StatusUnsupportedMediaType, "the body is %s: want the header Content-Type: application/json", kind)
		}
	}
	raw, err := io.ReadAll(c.request.Body)
	if large := new(http.MaxBytesError); errors.As(err, &large) {
		return nil, err
	}
	if err != nil {
		return nil, &Fault{Code: http.StatusBadRequest, Message: "the body could not be read", Cause: err}
	}
	return raw, nil
}

// decodeWrapped reads {"order": {...}}.
func decodeWrapped[B any](c *call) (body B, err error) {
	raw, err := c.body()
	if err != nil {
		return body, err
	}
	members, err := c.object(raw, c.resource.member)
	if err != nil {
		return body, err
	}
	for _, m := range members {
		if m.name != c.resource.member {
			return body, unknownMember("", m.name, []string{c.resource.member})
		}
	}
	if len(members) == 0 {
		return body, FieldFault(c.resource.member, `is missing: want {%q: {...}}`, c.resource.member)
	}
	return body, decodeInto(members[0].value, c.resource.member, &body)
}

// decodeBody reads a body without a word around it. Where there is no body to have, there is none.
func decodeBody[B any](c *call) (body B, err error) {
	raw, err := c.body()
	if err != nil {
		return body, err
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = []byte("{}")
	}
	return body, Decode(raw, &body)
}

// action reads {"name": {...}}, exactly one, and returns the name. The arguments are read by the action's own route.
func (c *call) action(there []versioned) (string, error) {
	raw, err := c.body()
	if err != nil {
		return "", err
	}
	members, err := c.object(raw, there[0].action)
	if err != nil {
		return "", err
	}
	if len(members) != 1 {
		names := make([]string, len(members))
		for i, m := range members {
			names[i] = m.name
		}
		return "", Faultf(http.StatusBadRequest, "want exactly one action in the body, such as {%q: {...}}, not %d: %s", there[0].action, len(names), strings.Join(names, ", "))
	}
	c.raw = members[0].value
	return members[0].name, nil
}

// object reads the body's outermost object; such is a word that may stand in it.
func (c *call) object(raw []byte, such string) ([]objectMember, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, Faultf(http.StatusBadRequest, `the body is empty: want {%q: {...}}`, such)
	}
	if err := wellFormed(raw); err != nil {
		return nil, err
	}
	if kind := kindOf(raw); kind != "an object" {
		return nil, Faultf(http.StatusBadRequest, `want {%q: {...}}, not %s`, such, kind)
	}
	return membersOf(raw, "")
}

func (c *call) noAction(name string, there []versioned) *Fault {
	names := make([]string, len(there))
	for i, v := range there {
		names[i] = v.action
	}
	hint := ": there are " + strings.Join(names, ", ")
	if near, ok := nearest.To(name, names); ok {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return &Fault{Code: http.StatusBadRequest, Field: name, Message: fmt.Sprintf("%s has no action %q%s", c.resource.member, name, hint)}
}

// decodeAction reads an action's arguments.
func decodeAction[A any](c *call, name string) (args A, err error) {
	if kindOf(c.raw) == "null" {
		c.raw = []byte("{}")
	}
	return args, decodeInto(c.raw, name, &args)
}
