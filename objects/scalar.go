package objects

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// FlexibleBool is upstream's FlexibleBoolean: of received texts 1, t, true, on, y and yes are true, and all others false.
type FlexibleBool bool

// Sensitive is upstream's SensitiveString, a text that may contain a password: it is on the wire, and not in what is printed or logged.
// But slog's JSON handler encodes an object that it is given whole, as for the wire: log fields.
type Sensitive string

// String returns three asterisks.
func (Sensitive) String() string { return "***" }

// GoString returns three asterisks.
func (Sensitive) GoString() string { return "***" }

// LogValue returns three asterisks.
func (Sensitive) LogValue() slog.Value { return slog.StringValue("***") }

func required(what string, data []byte) error {
	return fmt.Errorf("%s is required, not %s", what, kind(data))
}

func appendText(b []byte, v reflect.Value, _ plan) ([]byte, error) {
	return appendString(b, v.String()), nil
}

// appendString appends s as JSON.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			text, err := json.Marshal(s)
			if err != nil {
				return append(b, `""`...) // a string always has a form
			}
			return append(b, text...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// text returns the string that data is, or false.
func text(data []byte) (string, bool) {
	data = skipSpace(data)
	if len(data) == 0 || data[0] != '"' {
		return "", false
	}
	return string(unquote(data)), true
}

func parseText(data []byte, v reflect.Value) error {
	s, ok := text(data)
	if !ok {
		switch kind(data) {
		case "a number":
			s = string(data)
		case "a boolean":
			s = map[byte]string{'t': "True", 'f': "False"}[skipSpace(data)[0]] // as Python's str has it
		default:
			return required("a string", data)
		}
	}
	v.SetString(s)
	return nil
}

func enumCodec(values []string) *codec {
	check := func(s string) error {
		if !slices.Contains(values, s) {
			return fmt.Errorf("a value is not one of %s", strings.Join(values, ", "))
		}
		return nil
	}
	return &codec{
		append: func(b []byte, v reflect.Value, p plan) ([]byte, error) {
			if err := check(v.String()); err != nil {
				return b, err
			}
			return appendText(b, v, p)
		},
		parse: func(data []byte, v reflect.Value) error {
			if err := parseText(data, v); err != nil {
				return err
			}
			return check(v.String())
		},
	}
}

func appendInt(b []byte, v reflect.Value, _ plan) ([]byte, error) {
	return strconv.AppendInt(b, v.Int(), 10), nil
}

func appendUint(b []byte, v reflect.Value, _ plan) ([]byte, error) {
	return strconv.AppendUint(b, v.Uint(), 10), nil
}

// integer returns the decimal digits of what Python's int makes of a value.
func integer(data []byte) (string, error) {
	switch kind(data) {
	case "a boolean":
		return map[byte]string{'t': "1", 'f': "0"}[skipSpace(data)[0]], nil
	case "a string":
		s, _ := text(data)
		return strings.TrimPrefix(strings.TrimSpace(s), "+"), nil
	case "a number":
		if !strings.ContainsAny(string(data), ".eE") {
			return string(data), nil
		}
		f, err := strconv.ParseFloat(string(data), 64)
		if err != nil || math.Abs(f) >= 1<<63 {
			return "", errors.New("a number is out of range")
		}
		return strconv.FormatInt(int64(f), 10), nil
	}
	return "", required("an integer", data)
}

func parseInt(data []byte, v reflect.Value) error {
	s, err := integer(data)
	if err != nil {
		return err
	}
	i, err := strconv.ParseInt(s, 10, v.Type().Bits())
	if err != nil {
		return notInteger(err, data, v)
	}
	v.SetInt(i)
	return nil
}

func parseUint(data []byte, v reflect.Value) error {
	s, err := integer(data)
	if err != nil {
		return err
	}
	i, err := strconv.ParseUint(s, 10, v.Type().Bits())
	if err != nil {
		return notInteger(err, data, v)
	}
	v.SetUint(i)
	return nil
}

func notInteger(err error, data []byte, v reflect.Value) error {
	if errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("a number does not fit into %s", v.Type())
	}
	return required(v.Type().String(), data)
}

// appendFloat writes a float as Python does: 1.0, so that it stays one.
func appendFloat(b []byte, v reflect.Value, _ plan) ([]byte, error) {
	f := v.Float()
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return b, errors.New("neither infinity nor NaN can be sent")
	}
	if abs := math.Abs(f); f != 0 && (abs < 1e-4 || abs >= 1e16) {
		return strconv.AppendFloat(b, f, 'e', -1, v.Type().Bits()), nil
	}
	n := len(b)
	b = strconv.AppendFloat(b, f, 'f', -1, v.Type().Bits())
	if !slices.Contains(b[n:], '.') {
		b = append(b, ".0"...)
	}
	return b, nil
}

func parseFloat(data []byte, v reflect.Value) error {
	s := string(data)
	switch kind(data) {
	case "a number":
	case "a string":
		s, _ = text(data)
		s = strings.TrimSpace(s)
	case "a boolean":
		s, _ = integer(data)
	default:
		return required("a number", data)
	}
	f, err := strconv.ParseFloat(s, v.Type().Bits())
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return required("a number", data)
	}
	v.SetFloat(f)
	return nil
}

func appendBool(b []byte, v reflect.Value, _ plan) ([]byte, error) {
	return strconv.AppendBool(b, v.Bool()), nil
}

// parseBool goes by what Python takes for true: the text "false" is.
func parseBool(data []byte, v reflect.Value) error {
	switch s := strings.TrimSpace(string(data)); kind(data) {
	case "a boolean":
		v.SetBool(s == "true")
	case "a number":
		f, err := strconv.ParseFloat(s, 64)
		v.SetBool(err != nil || f != 0)
	case "a string":
		v.SetBool(s != `""`)
	case "an array", "an object":
		v.SetBool(len(skipSpace([]byte(s)[1:])) > 1)
	default:
		return required("a boolean", data)
	}
	return nil
}

func parseFlexible(data []byte, v reflect.Value) error {
	s, ok := text(data)
	if !ok {
		if s = strings.TrimSpace(string(data)); s == "null" {
			return required("a boolean", data)
		}
	}
	v.SetBool(slices.Contains([]string{"1", "t", "true", "on", "y", "yes"}, strings.ToLower(strings.TrimSpace(s))))
	return nil
}

func appendRaw(b []byte, v reflect.Value, _ plan) ([]byte, error) {
	raw := v.Bytes()
	if len(raw) == 0 {
		return append(b, "null"...), nil
	}
	if !json.Valid(raw) {
		return b, errors.New("not JSON")
	}
	return append(b, raw...), nil
}

func parseRaw(data []byte, v reflect.Value) error {
	v.SetBytes(append([]byte(nil), data...))
	return nil
}

// appendTime writes whole seconds, and the zone as it was read; upstream writes no fractions.
func appendTime(b []byte, v reflect.Value, _ plan) ([]byte, error) {
	t := v.Interface().(time.Time)
	if y := t.Year(); y < 1 || y > 9999 {
		return b, errors.New("the year is not between 1 and 9999")
	}
	zone := "-07:00"
	if name, offset := t.Zone(); offset == 0 && name != utcOffset {
		zone = "Z07:00"
	}
	b = append(b, '"')
	b = t.AppendFormat(b, "2006-01-02T15:04:05"+zone)
	return append(b, '"'), nil
}

// utcOffset is the name of the zone of a time that was received with +00:00 instead of Z, and is sent on so.
const utcOffset = "+00:00"

// layouts are the forms that upstream reads, of the zone first. Fractions are read with each.
var (
	dates  = []string{"2006-01-02", "20060102", "2006-01", "2006"}
	clocks = []string{"15:04:05", "150405", "15:04", "1504", "15"}
	zones  = []string{"-07:00", "-0700", "-07"}
)

func parseTime(data []byte, v reflect.Value) error {
	s, ok := text(data)
	if !ok {
		return required("a date and time", data)
	}
	t, err := parseISO(s)
	if err != nil {
		return err
	}
	v.Set(reflect.ValueOf(t))
	return nil
}

// parseISO reads ISO 8601 as upstream does: with parts left out, and UTC unless there is a zone.
func parseISO(s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil && s[len(s)-1] == 'Z' {
		return t, nil
	}
	date, clock, zone := s, "", ""
	if i := strings.IndexAny(s, "T "); i >= 0 {
		date, clock = s[:i], s[i+1:]
		if i := strings.IndexAny(clock, "Z+-"); i >= 0 {
			clock, zone = clock[:i], clock[i:]
		}
		if clock == "" {
			return time.Time{}, errNoTime
		}
	}
	in := time.UTC
	if zone != "" && zone != "Z" {
		at, err := parseAny(zones, zone, time.UTC)
		if err != nil {
			return time.Time{}, err
		}
		_, offset := at.Zone()
		in = time.FixedZone("", offset)
		if offset == 0 {
			in = time.FixedZone(utcOffset, 0)
		}
	}
	day, err := parseAny(dates, date, in)
	if err != nil || clock == "" {
		return day, err
	}
	at, err := parseAny(clocks, clock, in)
	if err != nil {
		return time.Time{}, err
	}
	return time.Date(day.Year(), day.Month(), day.Day(), at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), in), nil
}

var errNoTime = errors.New("a date and time such as 2026-01-02T03:04:05Z is required")

func parseAny(layouts []string, s string, in *time.Location) (time.Time, error) {
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, s, in); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errNoTime
}

func appendAddr(b []byte, v reflect.Value, _ plan) ([]byte, error) {
	a := v.Interface().(netip.Addr)
	if !a.IsValid() || a.Zone() != "" {
		return b, errors.New("an IP address without a zone is required")
	}
	b = append(b, '"')
	b = appendAddress(b, a)
	return append(b, '"'), nil
}

// appendAddress writes an address as netaddr does, which has ::1.2.3.4 where Go has ::102:304.
func appendAddress(b []byte, a netip.Addr) []byte {
	if a.Is6() && !a.Is4In6() {
		if raw := a.As16(); [12]byte(raw[:12]) == [12]byte{} && (raw[12] != 0 || raw[13] != 0) {
			return netip.AddrFrom4([4]byte(raw[12:])).AppendTo(append(b, "::"...))
		}
	}
	return a.AppendTo(b)
}

func parseAddr(data []byte, v reflect.Value) error {
	s, ok := text(data)
	a, err := netip.ParseAddr(s)
	if !ok || err != nil || a.Zone() != "" {
		return required("an IP address", data)
	}
	v.Set(reflect.ValueOf(a))
	return nil
}

func appendPrefix(b []byte, v reflect.Value, _ plan) ([]byte, error) {
	p := v.Interface().(netip.Prefix)
	if !p.IsValid() {
		return b, errors.New("an IP network is required")
	}
	b = append(b, '"')
	b = append(appendAddress(b, p.Addr()), '/')
	b = strconv.AppendInt(b, int64(p.Bits()), 10)
	return append(b, '"'), nil
}

func parsePrefix(data []byte, v reflect.Value) error {
	s, ok := text(data)
	if a, err := netip.ParseAddr(s); ok && err == nil && a.Zone() == "" {
		v.Set(reflect.ValueOf(netip.PrefixFrom(a, a.BitLen()))) // a network of one address
		return nil
	}
	p, err := netip.ParsePrefix(s)
	if !ok || err != nil {
		return required("an IP network", data)
	}
	v.Set(reflect.ValueOf(p))
	return nil
}
