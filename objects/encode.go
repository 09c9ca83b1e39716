package objects

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// A plan says at which version an object is written. The zero value: as it is.
type plan struct {
	target   string            // of this object; "" = its own
	versions map[string]string // of those within, by name; nil = by the relationships that the fields declare
	nested   bool
}

// append appends object v, which is addressable.
func (c *class) append(b []byte, v reflect.Value, p plan) ([]byte, error) {
	own := c.of(v).version
	if own == "" {
		own = c.text
	}
	if p.target != "" {
		own = p.target
	}
	b = append(b, c.head...)
	b = appendString(b, own)
	b = append(b, c.data...)
	b, sent, err := c.appendData(b, v, p)
	if err != nil {
		return b, err
	}
	b = append(b, '}')
	n := len(b)
	b = append(b, c.changed...)
	first := true
	err = c.changes(v, func(name string) {
		// Upstream leaves names of dropped fields in the changes of an object within, which its receivers ignore.
		if !sent(name) && !p.nested {
			return
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendString(b, name)
	})
	if first {
		b = b[:n]
	} else {
		b = append(b, ']')
	}
	return append(b, '}'), err
}

// appendData appends the members of v's data, and returns which fields are among them.
func (c *class) appendData(b []byte, v reflect.Value, p plan) ([]byte, func(name string) bool, error) {
	none := func(string) bool { return false }
	var target Version
	if p.target != "" {
		var err error
		if target, err = ParseVersion(p.target); err != nil {
			return b, none, &TargetError{c.name, p.target, "X.Y or X.Y.Z is wanted"}
		}
	}
	if p.target != "" && len(c.of(v).extra) > 0 {
		return b, none, &TargetError{c.name, p.target, fmt.Sprintf("field %s was received and is not declared: "+
			"nobody here knows which version brought it; declare all fields of what is backported", c.of(v).extra[0].name)}
	}
	start := len(b)
	var dropped []string
	for i := range c.fields {
		f := &c.fields[i]
		value, s := f.slot(v)
		if *s&set == 0 && i != c.list {
			dropped = append(dropped, f.name)
			continue
		}
		within := plan{}
		if p.target != "" {
			keep, q, err := c.planFor(i, *s, target, p)
			if err != nil {
				return b, none, err
			}
			if !keep {
				dropped = append(dropped, f.name)
				continue
			}
			within = q
		}
		if len(b) > start {
			b = append(b, ',')
		}
		b = append(b, f.key...)
		if *s&null != 0 {
			b = append(b, "null"...)
			continue
		}
		if value.Kind() == reflect.Pointer && value.IsNil() && !f.nullable {
			return b, none, &FieldError{c.name, f.name, errors.New("the field cannot be null, and is a nil pointer")}
		}
		var err error
		if b, err = f.codec.append(b, value, within); err != nil {
			return b, none, &FieldError{c.name, f.name, err}
		}
	}
	for _, m := range c.of(v).extra {
		if len(b) > start {
			b = append(b, ',')
		}
		b = append(appendString(b, m.name), ':')
		b = append(b, m.value...)
	}
	sent := func(name string) bool { return !slices.Contains(dropped, name) }
	hook, ok := v.Addr().Interface().(Compatible)
	if p.target == "" || !ok {
		return b, sent, nil
	}
	return c.convert(b, start, hook, target)
}

// convert lets the object's own method change the data, which are b from start on.
func (c *class) convert(b []byte, start int, hook Compatible, target Version) ([]byte, func(name string) bool, error) {
	data := map[string]json.RawMessage{}
	text := append(append([]byte{'{'}, b[start:]...), '}')
	err := json.Unmarshal(text, &data)
	if err == nil {
		err = hook.MakeCompatible(data, target)
	}
	if err != nil {
		return b, nil, &TargetError{c.name, fmt.Sprintf("%d.%d", target.Major, target.Minor), err.Error()}
	}
	if text, err = json.Marshal(data); err != nil {
		return b, nil, &FieldError{c.name, "", err}
	}
	sent := func(name string) bool { _, ok := data[name]; return ok }
	return append(b[:start], text[1:len(text)-1]...), sent, nil
}
