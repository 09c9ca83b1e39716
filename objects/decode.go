package objects

import (
	"bytes"
	"errors"
	"reflect"
	"strconv"
)

// A primitive is a received object, taken apart.
type primitive struct {
	name, namespace, version string
	data, changes            []byte
}

// open takes a JSON value apart; the result has no name if that is no object of the prefix.
func open(data []byte, prefix string) (primitive, error) {
	var p primitive
	is, err := members(data, func(name, value []byte) error { return p.take(name, prefix, value) })
	if err == nil && !is {
		err = required("an object", data)
	}
	return p, err
}

// take keeps a member, if it is one of those that the prefix marks.
func (p *primitive) take(name []byte, prefix string, value []byte) error {
	what, ok := bytes.CutPrefix(name, []byte(prefix))
	if !ok {
		return nil
	}
	var to *string
	switch string(what) {
	case ".name":
		to = &p.name
	case ".namespace":
		to = &p.namespace
	case ".version":
		to = &p.version
	case ".data":
		p.data = value
	case ".changes":
		p.changes = value
	}
	if to == nil {
		return nil
	}
	if *to, ok = text(value); !ok {
		return errors.New(string(name) + ": " + required("a string", value).Error())
	}
	return nil
}

// parse decodes into object v.
func (c *class) parse(data []byte, v reflect.Value) error {
	p, err := open(data, c.prefix)
	if err != nil {
		return &FieldError{c.name, "", err}
	}
	if p.name != c.name || p.namespace != c.namespace {
		return &UnknownError{Namespace: p.namespace, Name: p.name, Want: c.namespace + "." + c.name, Prefix: c.prefix}
	}
	version, err := c.accepts(p.version)
	if err != nil {
		return err
	}
	v.SetZero()
	o := c.of(v)
	if version != c.text {
		o.version = version
	}
	is, err := members(p.data, func(name, value []byte) error {
		i, ok := c.byName[string(name)]
		if !ok {
			o.extra = append(o.extra, member{name: string(name), value: bytes.Clone(value)})
			return nil
		}
		f := &c.fields[i]
		to, s := f.slot(v)
		return c.parseField(f, value, to, s)
	})
	if err != nil {
		return err
	}
	if !is {
		return &FieldError{c.name, "", errors.New(c.prefix + ".data: " + required("an object", p.data).Error())}
	}
	return c.parseChanges(p.changes, v)
}

// accepts returns the version under which an object of that one is known here.
func (c *class) accepts(version string) (string, error) {
	if version == c.text {
		return version, nil
	}
	received, err := ParseVersion(version)
	if err != nil || !c.version.reads(received) {
		return "", &VersionError{c.name, version, c.text}
	}
	if received.Compare(c.version) > 0 { // by its third number, which upstream then forgets
		return strconv.Itoa(received.Major) + "." + strconv.Itoa(received.Minor), nil
	}
	return version, nil
}

// parseField decodes a field into the value of its slot, of state s.
func (c *class) parseField(f *field, data []byte, to reflect.Value, s *state) error {
	if isNull(data) {
		if f.nullable {
			to.SetZero()
			*s = set | null
			return nil
		}
		if f.fallback == nil { // upstream puts the default in the place of a null
			return &FieldError{c.name, f.name, errors.New("null in a field that cannot be null")}
		}
		data = f.fallback
	}
	if err := f.codec.parse(data, to); err != nil {
		return &FieldError{c.name, f.name, err}
	}
	*s = set
	return nil
}

func (c *class) parseChanges(data []byte, v reflect.Value) error {
	if data == nil {
		return nil
	}
	o := c.of(v)
	is, err := elements(data, func(value []byte) error {
		name, ok := text(value)
		if !ok {
			return required("a string", value)
		}
		if i, ok := c.byName[name]; ok {
			_, s := c.fields[i].slot(v)
			*s |= changed
			return nil
		}
		for i := range o.extra {
			if o.extra[i].name == name {
				o.extra[i].changed = true
			}
		}
		return nil
	})
	if err == nil && !is {
		err = required("an array", data)
	}
	if err != nil {
		return &FieldError{c.name, "", errors.New(c.prefix + ".changes: " + err.Error())}
	}
	return nil
}
