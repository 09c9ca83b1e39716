package objects

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// Compatible is an object with conversions that tags cannot say. Backport calls MakeCompatible with the members of data, after
// the newer fields were dropped and the objects within written; it may change and delete them.
type Compatible interface {
	MakeCompatible(data map[string]json.RawMessage, target Version) error
}

// Versions returns the names and versions of an object and of all that it can contain, by itself and in lists: what a service sends
// along when it asks for older ones (upstream's obj_tree_get_versions). Objects in maps are not among them, as upstream.
func Versions[T Type]() (map[string]string, error) {
	c, err := classFor(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	tree := map[string]string{}
	return tree, c.tree(tree)
}

func (c *class) tree(into map[string]string) error {
	if _, ok := into[c.name]; ok {
		return nil
	}
	into[c.name] = c.text
	for i := range c.fields {
		if !c.fields[i].codec.ported() {
			continue
		}
		within, err := c.fields[i].codec.class()
		if err != nil {
			return err
		}
		if err := within.tree(into); err != nil {
			return err
		}
	}
	return nil
}

// ported tells whether upstream writes the objects within at other versions: single ones and those in a list.
func (k *codec) ported() bool {
	return k.class != nil && (k.shape == single || k.shape == list && k.depth == 1)
}

// Backport encodes an object at an older version (upstream's obj_to_primitive). Fields that came later are dropped, and objects
// within are written at the versions that versions says, which is what the receiver's Versions returned; those that it does not
// mention stay as they are. Without versions, the fields' relationships say it.
//
// Errors: *TargetError for a target newer than the object, for a field without a relationship when there are no versions, for an object with
// received fields that the struct does not declare, and from MakeCompatible; *TypeError, *FieldError as of [Marshal].
func Backport[T Type](object *T, target string, versions map[string]string) ([]byte, error) {
	v := reflect.ValueOf(object).Elem()
	c, err := classFor(v.Type())
	if err != nil {
		return nil, err
	}
	return c.backport(v, target, versions)
}

func (c *class) backport(v reflect.Value, target string, versions map[string]string) ([]byte, error) {
	own := c.of(v).version
	if own == "" {
		own = c.text
	}
	is, err := ParseVersion(own)
	if err != nil {
		return nil, err
	}
	to, err := ParseVersion(target)
	if err != nil {
		return nil, &TargetError{c.name, target, "X.Y or X.Y.Z is wanted"}
	}
	if to.Compare(is) > 0 {
		return nil, &TargetError{c.name, target, "the object itself is of " + own}
	}
	if target == own && len(versions) == 0 {
		return c.append(nil, v, plan{})
	}
	return c.append(nil, v, plan{target: target, versions: versions})
}

// planFor says whether field i, which has a value or is null, is among the data at the target version, and how the objects within are written.
func (c *class) planFor(i int, s state, target Version, p plan) (keep bool, within plan, err error) {
	f := &c.fields[i]
	if f.since != nil && target.Compare(*f.since) < 0 {
		return false, plan{}, nil
	}
	if !f.codec.ported() || c.list >= 0 && c.list != i { // a List ports its objects only
		return true, plan{}, nil
	}
	of, err := f.codec.class()
	if err != nil {
		return false, plan{}, err
	}
	as := func(version string) plan { return plan{target: version, versions: p.versions, nested: true} }
	if p.versions != nil {
		if version, ok := p.versions[of.name]; ok {
			return true, as(version), nil
		}
		if c.list < 0 {
			return true, plan{}, nil
		}
	} else if f.relationships != nil {
		return f.related(target, as)
	}
	if c.list >= 0 {
		return true, as("1.0"), nil // upstream's last resort for lists
	}
	if s&null != 0 {
		return true, plan{}, nil
	}
	return false, plan{}, &TargetError{c.name, p.target, fmt.Sprintf("field %s has no relationships tag, and there are no versions to go by", f.name)}
}

// related goes by the relationships: what came with the newest version that is not above the target. Objects of a field that came later are dropped, and those of
// a target above all that is known stay as they are.
func (f *field) related(target Version, as func(version string) plan) (keep bool, within plan, err error) {
	for i, r := range f.relationships {
		switch order := target.Compare(r.own); {
		case order == 0:
			return true, as(r.within), nil
		case order < 0 && i == 0:
			return false, plan{}, nil
		case order < 0:
			return true, as(f.relationships[i-1].within), nil
		}
	}
	return true, plan{}, nil
}
