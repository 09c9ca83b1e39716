package transport

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goslo/goslo/internal/nearest"
)

// Options reads options, each into a variable that holds its default: from a URL's query, else from configuration
// files. Problems are gathered, and Finish tells all of them at once:
//
//	o := u.Options().From(settings)
//	o.Bool("ssl", &c.TLS)
//	o.Seconds("heartbeat_timeout_threshold", &c.Heartbeat, 0, time.Hour)
//	if err := o.Finish(); err != nil { ... }
//	o.Log(ctx, logger)
//
// An empty value is none: the default stays.
type Options struct {
	driver   string
	query    []Option
	files    []Setting
	known    []string
	former   map[string][]string // a name's former ones
	old      map[string]bool     // all of these
	inURL    []string            // problems
	inFiles  []SettingProblem
	remarks  []remark
	reported map[string]bool // options that have a remark
}

// A Setting is an option as it stands in a configuration.
type Setting struct {
	Group, Name, Value string
	At                 string // where: path:line, $OS_GROUP__OPTION, --flag or "default"
	// Stray says that the option stands where such options used to: unknown ones there belong to somebody else.
	Stray bool
}

// String is name=value, with *** in place of values that look like secrets.
func (s Setting) String() string {
	if isSecret(s.Name) {
		return s.Name + "=" + mask
	}
	return s.Name + "=" + s.Value
}

// GoString is String, so that %#v shows no secrets either.
func (s Setting) GoString() string { return s.String() }

// MarshalText is String, so that structured logs and JSON show no secrets either.
func (s Setting) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// A remark is what Log says about an option.
type remark struct {
	level        slog.Level
	text         string
	option, at   string
	key, comment string // one more attribute
}

// A given option is one that has a value.
type given struct {
	name, value string // name as it was written
	group       string // "" = in the URL, or not known
	at          string // "" = in the URL
	stray       bool
}

// Options starts reading the query of u.
func (u URL) Options() *Options {
	return &Options{driver: u.Driver(), query: u.Query, former: map[string][]string{}, old: map[string]bool{}, reported: map[string]bool{}}
}

// From has options that the URL does not give read from configuration files: of several settings of one name
// the last one counts. It returns o.
func (o *Options) From(settings []Setting) *Options {
	o.files = settings
	return o
}

// Formerly says what an option was called in earlier releases. Files written then are still understood, and
// Log names the option to use instead. To be called before the option is read.
func (o *Options) Formerly(name string, old ...string) {
	o.former[name] = append(o.former[name], old...)
	for _, n := range old {
		o.old[n] = true
	}
}

// Retired reads an option that is none any more, under any of its names, and only from files: in the URL it is an error.
// Log says what to use instead. The name is the one that was found, "" for none.
func (o *Options) Retired(use string, names ...string) (name, value string) {
	for _, n := range names {
		o.old[n] = true
		if slices.ContainsFunc(o.query, func(q Option) bool { return q.Name == n }) {
			o.problem(given{name: n}, "only configuration files may still have it; say it in front of the options")
		}
	}
	for _, n := range names {
		g, ok := o.inFile(n)
		if !ok {
			continue
		}
		o.warn("the option is obsolete", g, "use", use)
		if name == "" {
			name, value = g.name, g.value
		}
	}
	return name, value
}

// Text reads an option as it is.
func (o *Options) Text(name string, v *string) {
	if g, ok := o.take(name); ok {
		*v = g.value
	}
}

// OneOf reads an option that must be one of the values allowed. Their case does not matter; *v gets the allowed spelling.
func (o *Options) OneOf(name string, v *string, allowed ...string) {
	g, ok := o.take(name)
	if !ok {
		return
	}
	i := slices.IndexFunc(allowed, func(a string) bool { return strings.EqualFold(a, g.value) })
	if i < 0 {
		o.refuse(g, "is not one of "+strings.Join(allowed, ", "))
		return
	}
	*v = allowed[i]
}

// Bool reads true, 1, yes, on or false, 0, no, off in any case, as oslo.config does.
func (o *Options) Bool(name string, v *bool) {
	g, ok := o.take(name)
	if !ok {
		return
	}
	switch strings.ToLower(g.value) {
	case "true", "1", "yes", "on":
		*v = true
	case "false", "0", "no", "off":
		*v = false
	default:
		o.refuse(g, "is neither true nor false")
	}
}

// Int reads a whole number from least to most.
func (o *Options) Int(name string, v *int, least, most int) {
	g, ok := o.take(name)
	if !ok {
		return
	}
	n, err := strconv.Atoi(strings.TrimSpace(g.value))
	switch {
	case err != nil:
		o.refuse(g, "is not a whole number")
	case n < least || n > most:
		o.refuse(g, fmt.Sprintf("is not within %d to %d", least, most))
	default:
		*v = n
	}
}

// Seconds reads a time in seconds, with a fraction if need be, from least to most.
func (o *Options) Seconds(name string, v *time.Duration, least, most time.Duration) {
	g, ok := o.take(name)
	if !ok {
		return
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(g.value), 64)
	switch {
	case err != nil:
		o.refuse(g, "is not a number of seconds")
	case !(n >= least.Seconds() && n <= most.Seconds()): // so that NaN is outside
		o.refuse(g, fmt.Sprintf("is not within %g to %g seconds", least.Seconds(), most.Seconds()))
	default:
		*v = time.Duration(n * float64(time.Second))
	}
}

// List reads values separated by commas, with blanks around each dropped. Repeating the option in the URL means the same.
func (o *Options) List(name string, v *[]string) {
	g, ok := o.take(name)
	if !ok {
		return
	}
	list := strings.Split(g.value, ",")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	*v = list
}

// Wrong adds a problem with an option whose value is right by itself: for what it is used together with, say.
func (o *Options) Wrong(name, why string) {
	g, ok := o.find(name)
	if !ok {
		g.name = name
	}
	o.problem(g, why)
}

// Instead is Wrong for an option in the URL. In a file, where older deployments may have such values, Log warns of it, and says what is
// used instead.
func (o *Options) Instead(name, why, used string) {
	if g, ok := o.find(name); ok && g.at != "" {
		o.remarks = append(o.remarks, remark{slog.LevelWarn, "the option cannot be used as it stands", g.name, g.where(), "why", why + "; used is " + used})
		return
	}
	o.Wrong(name, why)
}

// NoEffect has Log say why an option, if given, changes nothing here.
func (o *Options) NoEffect(name, why string) {
	if _, ok := o.take(name); ok {
		o.Note(name, "the option has no effect", why)
	}
}

// Note has Log say something about an option, if given, at level Info: what, and why.
func (o *Options) Note(name, what, why string) {
	if g, ok := o.find(name); ok {
		o.remarks = append(o.remarks, remark{slog.LevelInfo, what, g.name, g.where(), "why", why})
	}
}

// Finish returns one *[OptionsError] that tells everything that was wrong, options of the URL that nobody asked for
// included, or nil. Such options in a file are only warned of by Log, as other programs may share the file.
func (o *Options) Finish() error {
	for _, q := range o.query {
		if o.knows(q.Name) {
			continue
		}
		problem := "unknown"
		switch near, ok := nearest.To(q.Name, o.known); {
		case ok:
			problem += "; did you mean " + near + "?"
		case len(o.known) == 0:
			problem += "; the transport has none"
		default:
			problem += "; there are " + strings.Join(slices.Sorted(slices.Values(o.known)), ", ")
		}
		o.problem(given{name: strconv.Quote(q.Name)}, problem)
	}
	for _, s := range o.files {
		if s.Stray || o.knows(s.Name) {
			continue
		}
		near, ok := nearest.To(s.Name, o.known)
		key := ""
		if ok {
			key = "did_you_mean"
		}
		o.warn("unknown option ignored", given{name: s.Name, at: s.At}, key, near)
	}
	if len(o.inURL)+len(o.inFiles) == 0 {
		return nil
	}
	return &OptionsError{Driver: o.driver, Problems: o.inURL, InFiles: o.inFiles}
}

// Log says, a line for each option, which ones have no effect, have a new name, or are unknown in a file. To be
// called once, after Finish.
func (o *Options) Log(ctx context.Context, log *slog.Logger) {
	for _, r := range o.remarks {
		list := []any{"option", r.option, "at", r.at}
		if r.key != "" {
			list = append(list, r.key, r.comment)
		}
		log.Log(ctx, r.level, r.text, list...) //nolint:sloglint // The texts are constants, gathered above.
	}
}

// An OptionsError is everything that is wrong with the options in a URL's query and in a configuration. It holds
// no secrets.
type OptionsError struct {
	Driver   string
	Problems []string         // with those in the URL
	InFiles  []SettingProblem // with those in the configuration
}

// Error lists the problems: those of the configuration a line each, then one line for the URL.
func (e *OptionsError) Error() string {
	list := make([]string, 0, len(e.InFiles)+1)
	for _, p := range e.InFiles {
		list = append(list, p.String())
	}
	if len(e.Problems) > 0 {
		list = append(list, e.Driver+" url: "+strings.Join(e.Problems, "; "))
	}
	return strings.Join(list, "\n")
}

// A SettingProblem is what is wrong with one option of a configuration. It holds no secrets.
type SettingProblem struct {
	At          string // as that of the [Setting]
	Group, Name string
	Reason      string
}

// String is at: [group] name: reason.
func (p SettingProblem) String() string {
	return p.At + ": [" + p.Group + "] " + p.Name + ": " + p.Reason
}

func (o *Options) knows(name string) bool { return o.old[name] || slices.Contains(o.known, name) }

// take finds an option and makes it known.
func (o *Options) take(name string) (given, bool) {
	if !slices.Contains(o.known, name) {
		o.known = append(o.known, name)
	}
	g, ok := o.find(name)
	switch {
	case ok && g.name != name:
		o.warn("the option has a new name", g, "use", name)
	case ok && g.stray:
		o.warn("the option belongs in the section of the transport", g, "use", name)
	}
	return g, ok
}

// warn notes what is to be said about an option, once.
func (o *Options) warn(text string, g given, key, comment string) {
	if !o.reported[g.name] {
		o.reported[g.name] = true
		o.remarks = append(o.remarks, remark{slog.LevelWarn, text, g.name, g.where(), key, comment})
	}
}

// find looks for an option by its name, then by its former ones: in the URL, then in the files.
func (o *Options) find(name string) (given, bool) {
	names := append([]string{name}, o.former[name]...)
	for _, n := range names {
		for _, q := range o.query {
			if q.Name == n && q.Value != "" {
				return given{name: n, value: q.Value}, true
			}
		}
	}
	for _, n := range names {
		if g, ok := o.inFile(n); ok {
			return g, true
		}
	}
	return given{}, false
}

// inFile looks for an option by one name in the files.
func (o *Options) inFile(name string) (given, bool) {
	for _, s := range slices.Backward(o.files) {
		if s.Name == name {
			return given{name: name, value: s.Value, group: s.Group, at: s.At, stray: s.Stray}, s.Value != ""
		}
	}
	return given{}, false
}

func (g given) where() string {
	if g.at == "" {
		return "url"
	}
	return g.at
}

func (o *Options) refuse(g given, why string) {
	value := strconv.Quote(g.value)
	if isSecret(g.name) {
		value = strconv.Quote(mask)
	}
	o.problem(g, value+" "+why)
}

func (o *Options) problem(g given, why string) {
	if g.at == "" {
		o.inURL = append(o.inURL, "option "+g.name+": "+why)
		return
	}
	o.inFiles = append(o.inFiles, SettingProblem{At: g.at, Group: g.group, Name: g.name, Reason: why})
}
