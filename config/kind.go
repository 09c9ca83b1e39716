package config

import (
	"encoding"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"
)

// A kind reads the values of one option into its field's type.
type kind struct {
	name    string // as a sample file calls it: "integer value"
	secret  bool
	nilable bool
	limits  limits
	// read gets one text for each assignment, several only when the option is multi. The value is invalid when the
	// texts mean that there is none. Its errors do not hold the texts, except for a *quotingError.
	read func(texts []string) (reflect.Value, error)
}

// A scalar reads one value. Its errors are as those of kind.read, and errNone.
type scalar struct {
	name  string
	parse func(text string) (reflect.Value, error)
}

// errNone says that the text means no value: oslo reads a blank number as None.
var errNone = errors.New("no value")

// An itemError is about one of several texts.
type itemError struct {
	index int
	error
}

func (e *itemError) Unwrap() error { return e.error }

// A quotingError is what a type of the program says of a text, which it may hold.
type quotingError struct{ error }

var (
	secretType   = reflect.TypeFor[Secret]()
	addrType     = reflect.TypeFor[netip.Addr]()
	durationType = reflect.TypeFor[time.Duration]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func isText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textType) }

// hides says whether values of the type can be trusted to keep a secret.
func hides(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		if isText(t) {
			return true
		}
		t = t.Elem()
	}
	return t == secretType || isText(t)
}

// container says whether several values stand in one text.
func container(t reflect.Type) bool {
	return !isText(t) && (t.Kind() == reflect.Slice || t.Kind() == reflect.Map)
}

func kindOf(f reflect.StructField, multi bool) (kind, error) {
	t := f.Type
	item := t
	if container(t) || t.Kind() == reflect.Pointer && !isText(t) {
		item = t.Elem()
	}
	one, err := scalarOf(item, f.Tag.Get("type"))
	if err != nil {
		return kind{}, err
	}
	k := kind{name: one.name, secret: item == secretType}
	if k.limits, err = newLimits(f.Tag, one); err != nil {
		return kind{}, err
	}
	one.parse = k.limits.around(one.parse)
	switch {
	case multi && (t.Kind() != reflect.Slice || isText(t)):
		return kind{}, errors.New("only a slice is multi")
	case multi:
		k.name, k.read = "multi valued", readMulti(t, one)
	case isText(t):
		k.read = readOne(one)
	case t.Kind() == reflect.Slice:
		k.name, k.read = "list value", readList(t, one)
	case t.Kind() == reflect.Map && t.Key().Kind() != reflect.String:
		return kind{}, errors.New("the keys of a map must be strings")
	case t.Kind() == reflect.Map:
		k.name, k.read = "dict value", readDict(t, one)
	case t.Kind() == reflect.Pointer:
		k.nilable, k.read = true, readPointer(t, one)
	default:
		k.read = readOne(one)
	}
	return k, nil
}

func readOne(one scalar) func([]string) (reflect.Value, error) {
	return func(texts []string) (reflect.Value, error) {
		v, err := one.parse(texts[len(texts)-1])
		if errors.Is(err, errNone) {
			return reflect.Value{}, nil
		}
		return v, err
	}
}

func readPointer(t reflect.Type, one scalar) func([]string) (reflect.Value, error) {
	read := readOne(one)
	return func(texts []string) (reflect.Value, error) {
		v, err := read(texts)
		if err != nil || !v.IsValid() {
			return v, err
		}
		p := reflect.New(t.Elem())
		p.Elem().Set(v)
		return p, nil
	}
}

func readMulti(t reflect.Type, one scalar) func([]string) (reflect.Value, error) {
	return func(texts []string) (reflect.Value, error) {
		values := reflect.MakeSlice(t, 0, len(texts))
		for i, text := range texts {
			v, err := one.parse(text)
			if err != nil {
				return reflect.Value{}, &itemError{i, err}
			}
			values = reflect.Append(values, v)
		}
		return values, nil
	}
}

// readList mirrors oslo_config/types.py, List: commas at the end do not count, and an item that is no good may
// become so with the next one behind a comma.
func readList(t reflect.Type, one scalar) func([]string) (reflect.Value, error) {
	return func(texts []string) (reflect.Value, error) {
		values := reflect.MakeSlice(t, 0, 0)
		text := strings.TrimRight(strings.TrimFunc(texts[len(texts)-1], isSpace), ",")
		if text == "" {
			return values, nil
		}
		err := eachJoined(strings.Split(text, ","), func(item string) error {
			v, err := one.parse(strings.TrimFunc(item, isSpace))
			if err == nil {
				values = reflect.Append(values, v)
			}
			return err
		})
		return values, err
	}
}

// readDict mirrors oslo_config/types.py, Dict.
func readDict(t reflect.Type, one scalar) func([]string) (reflect.Value, error) {
	return func(texts []string) (reflect.Value, error) {
		values := reflect.MakeMap(t)
		text := strings.TrimFunc(texts[len(texts)-1], isSpace)
		if text == "" {
			return values, nil
		}
		var fatal error
		err := eachJoined(strings.Split(text, ","), func(pair string) error {
			name, value, ok := strings.Cut(pair, ":")
			if !ok {
				return errors.New("not name:value pairs separated by commas")
			}
			v, err := one.parse(strings.TrimFunc(value, isSpace))
			if err != nil {
				return err
			}
			at := reflect.ValueOf(strings.TrimFunc(name, isSpace)).Convert(t.Key())
			switch {
			case at.Len() == 0:
				fatal = errors.New("a name is empty")
			case values.MapIndex(at).IsValid():
				fatal = errors.New("a name is there twice")
			}
			values.SetMapIndex(at, v)
			return nil
		})
		if fatal != nil {
			err = fatal
		}
		return values, err
	}
}

// eachJoined gives each item to take; one that is refused is tried again with the next one joined to it.
func eachJoined(items []string, take func(string) error) error {
	for len(items) > 0 {
		item := items[0]
		items = items[1:]
		err := take(item)
		for err != nil {
			if errors.Is(err, errNone) {
				err = errors.New("an item is empty")
			}
			if len(items) == 0 {
				return err
			}
			item += "," + items[0]
			items = items[1:]
			err = take(item)
		}
	}
	return nil
}

// limits are what the min, max and choices tags allow.
type limits struct {
	min, max         reflect.Value
	minText, maxText string
	choices          []reflect.Value
	choiceTexts      []string
}

func newLimits(tag reflect.StructTag, one scalar) (limits, error) {
	var l limits
	for name, to := range map[string]struct {
		text  *string
		value *reflect.Value
	}{"min": {&l.minText, &l.min}, "max": {&l.maxText, &l.max}} {
		text, ok := tag.Lookup(name)
		if !ok {
			continue
		}
		v, err := one.parse(text)
		if err != nil || !v.CanInt() && !v.CanUint() && !v.CanFloat() {
			return l, fmt.Errorf("%s is a number, of a %s", name, one.name)
		}
		*to.text, *to.value = text, v
	}
	if l.min.IsValid() && l.max.IsValid() && less(l.max, l.min) {
		return l, errors.New("min is more than max")
	}
	for text := range splitTag(tag.Get("choices")) {
		v, err := one.parse(text)
		if err != nil {
			return l, fmt.Errorf("choice %q: %w", text, err)
		}
		l.choices, l.choiceTexts = append(l.choices, v), append(l.choiceTexts, text)
	}
	return l, nil
}

// around makes parse check the limits.
func (l limits) around(parse func(string) (reflect.Value, error)) func(string) (reflect.Value, error) {
	return func(text string) (reflect.Value, error) {
		v, err := parse(text)
		if err == nil {
			err = l.check(v)
		}
		return v, err
	}
}

// check checks one value. As in oslo, choices take the place of min and max.
func (l limits) check(v reflect.Value) error {
	same := func(choice reflect.Value) bool { return format(choice) == format(v) }
	switch {
	case len(l.choices) > 0 && !slices.ContainsFunc(l.choices, same):
		return errors.New("not one of " + strings.Join(l.choiceTexts, ", "))
	case len(l.choices) > 0:
	case l.min.IsValid() && less(v, l.min), l.max.IsValid() && less(l.max, v):
		return errors.New("not " + l.span())
	}
	return nil
}

// checkAll checks what a field holds: one value, or several.
func (l limits) checkAll(v reflect.Value) error {
	switch {
	case v.Kind() == reflect.Pointer && !isText(v.Type()):
		return l.check(v.Elem())
	case !container(v.Type()):
		return l.check(v)
	}
	for _, item := range v.Seq2() {
		if err := l.check(item); err != nil {
			return err
		}
	}
	return nil
}

// span is what min and max allow, or "".
func (l limits) span() string {
	switch {
	case !l.max.IsValid() && !l.min.IsValid():
		return ""
	case !l.max.IsValid():
		return "at least " + l.minText
	case !l.min.IsValid():
		return "at most " + l.maxText
	}
	return "from " + l.minText + " to " + l.maxText
}

func less(a, b reflect.Value) bool {
	switch {
	case a.CanInt():
		return a.Int() < b.Int()
	case a.CanUint():
		return a.Uint() < b.Uint()
	}
	return a.Float() < b.Float()
}
