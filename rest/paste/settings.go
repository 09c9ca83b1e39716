package paste

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strconv"
	"strings"
)

// Settings are what one section says to its factory: its own settings, and those of all sections, from [DEFAULT] and the
// program. They are read while the factory runs; a setting of the section's own that nobody has asked for by then is warned
// of, since it has no effect. Printing them shows no values.
type Settings struct {
	section       *section
	factory       string
	local, global *dict
	read          map[string]bool // which of local
}

// A Setting is one of them.
type Setting struct {
	Name, Value string

	at      position
	section string
}

// String is the setting's name, without its value.
func (s Setting) String() string { return s.Name }

// Position returns where the setting stands, as "path:line", or "" of one that the program gives.
func (s Setting) Position() string { return s.at.String() }

// Errorf returns a *[Problem] at the setting's place. The reason is formatted by [fmt.Errorf], and %w makes it unwrap to that
// error. It should hold the value only where that is no secret.
func (s Setting) Errorf(reason string, args ...any) error {
	err := fmt.Errorf(reason, args...)
	p := problem(s.at, s.section, "%s: %v", s.Name, err)
	p.err = errors.Unwrap(err)
	return p
}

// Section returns the name of the section, such as "filter:cors".
func (s Settings) Section() string { return s.section.name }

// Factory returns the Python name by which the section asks for the factory, as it is in [Factories].
func (s Settings) Factory() string { return s.factory }

// Lookup returns a setting: the section's own, or else that of all sections. So do most of OpenStack's filters.
func (s Settings) Lookup(name string) (Setting, bool) {
	if v, ok := s.local.get(name); ok {
		s.read[name] = true
		return s.setting(name, v), true
	}
	v, ok := s.global.get(name)
	return s.setting(name, v), ok
}

// Local ranges over the section's own settings, in the order in which they stand there.
func (s Settings) Local() iter.Seq[Setting] {
	return func(yield func(Setting) bool) {
		for _, name := range s.local.names {
			s.read[name] = true
			if !yield(s.setting(name, s.local.values[name])) {
				return
			}
		}
	}
}

// Global ranges over the settings of all sections: [DEFAULT], here, __file__, what the program gives, and what set adds.
func (s Settings) Global() iter.Seq[Setting] {
	return func(yield func(Setting) bool) {
		for _, name := range s.global.names {
			if !yield(s.setting(name, s.global.values[name])) {
				return
			}
		}
	}
}

// Text stores a setting in target as it is. Without one, target is left alone.
func (s Settings) Text(name string, target *string) {
	if found, ok := s.Lookup(name); ok {
		*target = found.Value
	}
}

// Bool stores a setting in target as oslo.config's BoolOpt reads it: true, 1, on, yes, or false, 0, off, no, in any case.
// Without one, target is left alone. The error is a *[Problem].
func (s Settings) Bool(name string, target *bool) error {
	found, ok := s.Lookup(name)
	if !ok {
		return nil
	}
	switch strings.ToLower(strings.TrimSpace(found.Value)) {
	case "true", "1", "on", "yes":
		*target = true
	case "false", "0", "off", "no":
		*target = false
	default:
		return found.Errorf("%q is neither true nor false", found.Value)
	}
	return nil
}

// Int stores a setting in target as an integer. Without one, target is left alone. The error is a *[Problem].
func (s Settings) Int(name string, target *int) error {
	found, ok := s.Lookup(name)
	if !ok {
		return nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(found.Value))
	if err != nil {
		return found.Errorf("%q is no integer", found.Value)
	}
	*target = n
	return nil
}

// List stores a setting in target as oslo.config's ListOpt reads it: what stands between commas, without spaces around it.
// Without one, target is left alone.
func (s Settings) List(name string, target *[]string) {
	found, ok := s.Lookup(name)
	if !ok {
		return
	}
	list := []string{}
	if strings.TrimSpace(found.Value) != "" {
		for item := range strings.SplitSeq(found.Value, ",") {
			list = append(list, strings.TrimSpace(item))
		}
	}
	*target = list
}

// Errorf returns a *[Problem] of the section as a whole; see [Setting.Errorf].
func (s Settings) Errorf(reason string, args ...any) error {
	err := fmt.Errorf(reason, args...)
	p := problem(s.section.at, s.section.name, "%v", err)
	p.err = errors.Unwrap(err)
	return p
}

// GoString says whose settings they are, and no values.
func (s Settings) GoString() string { return "paste.Settings of [" + s.section.name + "]" }

// Format prints GoString, whatever the verb.
func (s Settings) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.GoString()) }

// LogValue is GoString.
func (s Settings) LogValue() slog.Value { return slog.StringValue(s.GoString()) }

func (s Settings) setting(name string, v value) Setting {
	return Setting{Name: name, Value: v.text, at: v.at, section: s.section.name}
}
