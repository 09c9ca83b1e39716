package transport

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goslo/goslo/internal/nearest"
)

// Options reads the options in a URL's query, each into a variable that holds its default. Problems are
// gathered, and Finish tells all of them at once:
//
//	o := u.Options()
//	o.Bool("ssl", &c.TLS)
//	o.Seconds("heartbeat_timeout_threshold", &c.Heartbeat, 0, time.Hour)
//	if err := o.Finish(); err != nil { ... }
type Options struct {
	driver   string
	query    []Option
	known    []string
	problems []string
}

// Options starts reading the query of u.
func (u URL) Options() *Options { return &Options{driver: u.Driver(), query: u.Query} }

// Text reads an option as it is.
func (o *Options) Text(name string, v *string) {
	if s, ok := o.take(name); ok {
		*v = s
	}
}

// OneOf reads an option that must be one of the values allowed. Their case does not matter; *v gets the allowed spelling.
func (o *Options) OneOf(name string, v *string, allowed ...string) {
	s, ok := o.take(name)
	if !ok {
		return
	}
	i := slices.IndexFunc(allowed, func(a string) bool { return strings.EqualFold(a, s) })
	if i < 0 {
		o.refuse(name, s, "is not one of "+strings.Join(allowed, ", "))
		return
	}
	*v = allowed[i]
}

// Bool reads true, 1, yes, on or false, 0, no, off in any case, as oslo.config does.
func (o *Options) Bool(name string, v *bool) {
	s, ok := o.take(name)
	if !ok {
		return
	}
	switch strings.ToLower(s) {
	case "true", "1", "yes", "on":
		*v = true
	case "false", "0", "no", "off":
		*v = false
	default:
		o.refuse(name, s, "is neither true nor false")
	}
}

// Int reads a whole number from least to most.
func (o *Options) Int(name string, v *int, least, most int) {
	s, ok := o.take(name)
	if !ok {
		return
	}
	n, err := strconv.Atoi(strings.TrimSpace(s))
	switch {
	case err != nil:
		o.refuse(name, s, "is not a whole number")
	case n < least || n > most:
		o.refuse(name, s, fmt.Sprintf("is not within %d to %d", least, most))
	default:
		*v = n
	}
}

// Seconds reads a time in seconds, with a fraction if need be, from least to most.
func (o *Options) Seconds(name string, v *time.Duration, least, most time.Duration) {
	s, ok := o.take(name)
	if !ok {
		return
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	switch {
	case err != nil:
		o.refuse(name, s, "is not a number of seconds")
	case !(n >= least.Seconds() && n <= most.Seconds()): // so that NaN is outside
		o.refuse(name, s, fmt.Sprintf("is not within %g to %g seconds", least.Seconds(), most.Seconds()))
	default:
		*v = time.Duration(n * float64(time.Second))
	}
}

// List reads values separated by commas, with blanks around each dropped. Repeating the option in the URL means the same.
func (o *Options) List(name string, v *[]string) {
	s, ok := o.take(name)
	if !ok {
		return
	}
	list := strings.Split(s, ",")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	*v = list
}

// Refuse makes it an error to give an option that users of oslo.messaging may know, but that cannot be honoured here, and says why.
func (o *Options) Refuse(name, why string) {
	if _, ok := o.take(name); ok {
		o.problems = append(o.problems, "option "+name+": "+why)
	}
}

// Finish returns one *[OptionsError] that tells everything that was wrong, options that nobody asked for included, or nil.
func (o *Options) Finish() error {
	for _, q := range o.query {
		if slices.Contains(o.known, q.Name) {
			continue
		}
		problem := "option " + strconv.Quote(q.Name) + ": unknown"
		switch near, ok := nearest.To(q.Name, o.known); {
		case ok:
			problem += "; did you mean " + near + "?"
		case len(o.known) == 0:
			problem += "; the transport has none"
		default:
			problem += "; there are " + strings.Join(slices.Sorted(slices.Values(o.known)), ", ")
		}
		o.problems = append(o.problems, problem)
	}
	if len(o.problems) == 0 {
		return nil
	}
	return &OptionsError{Driver: o.driver, Problems: o.problems}
}

// An OptionsError is everything that is wrong with the options in a URL's query. It holds no secrets.
type OptionsError struct {
	Driver   string
	Problems []string
}

// Error lists the problems.
func (e *OptionsError) Error() string { return e.Driver + " url: " + strings.Join(e.Problems, "; ") }

func (o *Options) take(name string) (string, bool) {
	o.known = append(o.known, name)
	for _, q := range o.query {
		if q.Name == name {
			return q.Value, true
		}
	}
	return "", false
}

func (o *Options) refuse(name, value, why string) {
	if isSecret(name) {
		value = mask
	}
	o.problems = append(o.problems, "option "+name+": "+strconv.Quote(value)+" "+why)
}
