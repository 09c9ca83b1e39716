package objects

import "reflect"

// A Declared is what a struct says of one field.
type Declared struct {
	Nullable, ReadOnly, Default bool
	Object                      string // the name of the class within; "" = none
}

// Declaration returns what the class of an object says.
func Declaration(object Type) (name, version string, list bool, fields map[string]Declared, err error) {
	c, err := classFor(reflect.TypeOf(object))
	if err != nil {
		return "", "", false, nil, err
	}
	fields = map[string]Declared{}
	for _, f := range c.fields {
		d := Declared{Nullable: f.nullable, ReadOnly: f.readOnly, Default: f.fallback != nil}
		if f.codec.class != nil {
			of, err := f.codec.class()
			if err != nil {
				return "", "", false, nil, err
			}
			d.Object = of.name
		}
		fields[f.name] = d
	}
	return c.name, c.text, c.list >= 0, fields, nil
}
