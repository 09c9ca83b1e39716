package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// scalarOf chooses how a type is read; name is that of the type tag.
func scalarOf(t reflect.Type, name string) (scalar, error) {
	if name != "" {
		return namedScalar(t, name)
	}
	switch {
	case t == secretType:
		return scalar{"string value", func(s string) (reflect.Value, error) { return reflect.ValueOf(NewSecret(s)), nil }}, nil
	case t == addrType:
		return scalar{"IP address value", parseAddr}, nil
	case t == durationType:
		return scalar{"duration in seconds", parseDuration}, nil
	case isText(t):
		return scalar{"string value", textParser(t)}, nil
	}
	switch t.Kind() {
	case reflect.String:
		return textScalar(t, "string value", func(s string) (string, error) { return s, nil }), nil
	case reflect.Bool:
		return scalar{"boolean value", func(s string) (reflect.Value, error) {
			b, err := parseBool(s)
			return reflect.ValueOf(b).Convert(t), err
		}}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return scalar{"integer value", integerParser(t)}, nil
	case reflect.Float32, reflect.Float64:
		return scalar{"floating point value", func(s string) (reflect.Value, error) {
			f, err := parseFloat(s)
			return reflect.ValueOf(f).Convert(t), err
		}}, nil
	}
	return scalar{}, fmt.Errorf("values of %s cannot be read from text; there are strings, numbers, booleans, durations, slices and maps of those, and encoding.TextUnmarshaler", t)
}

func namedScalar(t reflect.Type, name string) (scalar, error) {
	if name == "port" {
		if k := t.Kind(); k < reflect.Int || k > reflect.Uint64 || k == reflect.Int8 || k == reflect.Uint8 {
			return scalar{}, errors.New("a port is an integer of 16 bits or more")
		}
		return scalar{"port value", portParser(t)}, nil
	}
	text, ok := map[string]struct {
		name  string
		check func(string) (string, error)
	}{
		"host":       {"host address value", hostAddress},
		"hostname":   {"hostname value", hostname},
		"hostdomain": {"host domain value", hostDomain},
		"uri":        {"URI value", uri},
		"ip":         {"IP address value", ipAddress(0)},
		"ipv4":       {"IP address value", ipAddress(4)},
		"ipv6":       {"IP address value", ipAddress(6)},
	}[name]
	switch {
	case !ok:
		return scalar{}, fmt.Errorf("no type is called %q; there are host, hostname, hostdomain, ip, ipv4, ipv6, port and uri", name)
	case t == secretType:
		return scalar{text.name, func(s string) (reflect.Value, error) {
			s, err := text.check(s)
			return reflect.ValueOf(NewSecret(s)), err
		}}, nil
	case t.Kind() != reflect.String:
		return scalar{}, errors.New("a " + name + " is a string")
	}
	return textScalar(t, text.name, text.check), nil
}

func textScalar(t reflect.Type, name string, check func(string) (string, error)) scalar {
	return scalar{name, func(s string) (reflect.Value, error) {
		s, err := check(s)
		return reflect.ValueOf(s).Convert(t), err
	}}
}

// textParser lets a type of the program read.
func textParser(t reflect.Type) func(string) (reflect.Value, error) {
	return func(s string) (reflect.Value, error) {
		v := reflect.New(t)
		if err := v.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
			return reflect.Value{}, &quotingError{err}
		}
		return v.Elem(), nil
	}
}

func parseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true", "1", "on", "yes":
		return true, nil
	case "false", "0", "off", "no":
		return false, nil
	}
	return false, errors.New("neither true, 1, on, yes nor false, 0, off, no")
}

// Numbers are what Python's int and float read, which take underscores between digits and have no 0x.
var (
	integerText = regexp.MustCompile(`^[+-]?[0-9]+(_[0-9]+)*$`)
	floatText   = regexp.MustCompile(`^[+-]?(([0-9]+(_[0-9]+)*)?\.?([0-9]+(_[0-9]+)*)?)([eE][+-]?[0-9]+(_[0-9]+)*)?$`)
	floatWord   = regexp.MustCompile(`(?i)^[+-]?(inf|infinity|nan)$`)
)

// number strips what does not count in a number. A blank one is errNone.
func number(s string) (string, error) {
	s = strings.TrimFunc(s, isSpace)
	if s == "" {
		return "", errNone
	}
	return s, nil
}

func integerParser(t reflect.Type) func(string) (reflect.Value, error) {
	signed := t.Kind() <= reflect.Int64
	return func(s string) (reflect.Value, error) {
		v := reflect.New(t).Elem()
		s, err := number(s)
		if err != nil {
			return v, err
		}
		if !integerText.MatchString(s) {
			return v, errors.New("not an integer")
		}
		s = strings.ReplaceAll(s, "_", "")
		if signed {
			var n int64
			n, err = strconv.ParseInt(s, 10, t.Bits())
			v.SetInt(n)
		} else {
			var n uint64
			n, err = strconv.ParseUint(strings.TrimPrefix(s, "+"), 10, t.Bits())
			v.SetUint(n)
		}
		if err != nil {
			return v, errors.New("not within the range of " + t.Kind().String())
		}
		return v, nil
	}
}

func portParser(t reflect.Type) func(string) (reflect.Value, error) {
	parse := integerParser(reflect.TypeFor[int64]())
	return func(s string) (reflect.Value, error) {
		v, err := parse(s)
		if err == nil && (v.Int() < 0 || v.Int() > math.MaxUint16) || err != nil && !errors.Is(err, errNone) {
			err = errors.New("not a port, from 0 to 65535")
		}
		if err != nil {
			return reflect.Zero(t), err
		}
		return v.Convert(t), nil
	}
}

func parseFloat(s string) (float64, error) {
	s, err := number(s)
	if err != nil {
		return 0, err
	}
	digits := strings.IndexAny(s, "0123456789")
	exponent := strings.IndexAny(s, "eE")
	plain := floatText.MatchString(s) && digits >= 0 && (exponent < 0 || digits < exponent)
	if !plain && !floatWord.MatchString(s) {
		return 0, errors.New("not a number")
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) { // out of range is infinite, as in Python
		return 0, errors.New("not a number")
	}
	return f, nil
}

// parseDuration reads seconds, which oslo's options for times hold, or a duration in Go's way.
func parseDuration(s string) (reflect.Value, error) {
	const most = float64(math.MaxInt64 / int64(time.Second))
	seconds, err := parseFloat(s)
	switch {
	case errors.Is(err, errNone):
		return reflect.ValueOf(time.Duration(0)), err
	case err == nil && !(math.Abs(seconds) < most): // so that NaN is outside
		return reflect.ValueOf(time.Duration(0)), errors.New("not a time that can be waited for")
	case err == nil:
		return reflect.ValueOf(time.Duration(math.Round(seconds * float64(time.Second)))), nil
	}
	d, err := time.ParseDuration(strings.TrimFunc(s, isSpace))
	if err != nil {
		err = errors.New("neither a number of seconds nor a duration such as 1m30s")
	}
	return reflect.ValueOf(d), err
}

// format writes a value as it stands in a file.
func format(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		if _, ok := v.Interface().(encoding.TextMarshaler); !ok {
			return format(v.Elem())
		}
	}
	switch x := v.Interface().(type) {
	case Secret:
		return x.Reveal()
	case time.Duration:
		return strconv.FormatFloat(x.Seconds(), 'f', -1, 64)
	case encoding.TextMarshaler:
		text, err := x.MarshalText()
		if err != nil {
			return ""
		}
		return string(text)
	}
	switch v.Kind() {
	case reflect.Slice:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = format(v.Index(i))
		}
		return strings.Join(items, ",")
	case reflect.Map:
		return formatDict(v)
	}
	return fmt.Sprint(v.Interface())
}
