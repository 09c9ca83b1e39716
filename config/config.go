// Package config is oslo.config for Go programs: options are fields of a struct, and their values come from the command
// line, the environment, configuration files in the format of nova.conf and its relatives, and defaults.
//
//	type Options struct {
//		Host string `config:"host" default:"localhost" type:"host" help:"The name of this service."` // [DEFAULT] host
//		API  struct {
//			Workers  int           `config:"workers,flag" default:"4" min:"1" max:"64" help:"How many requests run at once."`
//			Timeout  time.Duration `config:"timeout,mutable" default:"60" help:"How long a request may take."`
//			Password config.Secret `config:"password,required" help:"The password of the service user."`
//		} `config:"api" help:"The HTTP side."`
//	}
//
//	conf, err := config.Load(config.Source{Project: "shop", Prog: "shop-api", Args: os.Args[1:]}, Options{})
//	options := conf.Get() // *Options, which never changes
//	serve(options.API.Workers)
//
// # Declaring options
//
// A field with a config tag is an option; its tag gives the name and, after commas, what else it is:
//
//	flag       it can be given on the command line too, as --name, or --group-name outside [DEFAULT]
//	mutable    it may change while the program runs; see [Config.Reload]
//	required   loading fails when nobody gives a value
//	secret     its value is shown nowhere; every Secret is one
//	multi      a slice with one element for each assignment, as oslo's MultiStrOpt, rather than for each comma
//	advanced   the sample file says that few need it
//	retired    it is read, and the sample file has no word of it
//
// Other tags: default (text as in a file), help, choices (separated by commas), min and max (numbers, and durations in
// seconds), type (see below), short (a letter for the command line), sample (shown by [Sample] in place of the default),
// deprecated (older names, separated by commas: old_name, or old_group.old_name), removal (why the option will go).
// A field of the struct that is given to [Load] may also hold a default; it wins over the tag's.
//
// A struct with a config tag is a group. Options outside any group belong to [DEFAULT]. A struct embedded without a tag
// adds its fields where it stands, so that libraries can bring options of their own; two structs may share a group. A group
// with "shared" after its name, or an empty struct so tagged, has options that the program does not know, which are then
// not warned about unless one looks like a typing error. What a tag cannot say is checked by a method Validate() error on
// the group, or on the whole.
//
// The field's type decides what is read, as the oslo type in brackets does:
//
//	string [StrOpt], bool [BoolOpt], int... and uint... [IntOpt], float64 [FloatOpt]
//	string with type:"host" [HostAddressOpt], "hostname", "hostdomain", "uri", "ip", "ipv4", "ipv6"; any integer with type:"port"
//	netip.Addr [IPOpt]; time.Duration: seconds, or Go's 1m30s; Secret: a string
//	[]T [ListOpt], map[string]T [DictOpt], both of any of the others; *T: nil without a value
//	any other type whose pointer is an encoding.TextUnmarshaler, such as slog.Level
//
// # Where values come from
//
// The command line wins over the environment (OS_GROUP__OPTION), which wins over files, which win over defaults. Of the
// files, read in the order in which [Source.Files] and the command line's --config-file and --config-dir name them, the
// last one wins. In a value $name stands for another option of the same group or [DEFAULT], ${group.name} for one of
// another group, $$ and \$ for a "$".
//
// The package owns files' syntax, declarations, and the way from one to the other. It starts no goroutine; [Config.Watch]
// and [Config.Run] run in their caller's, beside one of fsnotify's that they end.
package config

import (
	"cmp"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Default is the name of the group for options that belong to no group: [DEFAULT] in the file.
const Default = "DEFAULT"

// Source says where values come from. The zero value is the environment alone.
type Source struct {
	// Project and Prog are whose files are looked for when no Files are given: project.conf and prog.conf, each the
	// first that exists in ~/.project, ~, /etc/project and /etc; and likewise for the folders of Dirs,
	// project.conf.d and prog.conf.d. Default: none are looked for.
	Project, Prog string
	// Files are read when the command line has no --config-file; they must exist. Default: those of Project and Prog.
	Files []string
	// Dirs are folders whose *.conf are read, sorted, after Files, when the command line has no --config-dir; those
	// that do not exist are passed over. Default: those of Project and Prog.
	Dirs []string
	// Args is the command line without the program's name. Default: empty.
	Args []string
	// Version answers --version. Default: there is no such flag.
	Version string
	// Env looks up an environment variable. Default: os.LookupEnv.
	Env func(name string) (value string, ok bool)
	// Logger hears about old names, unknown options, and what a reload changed. Default: nothing is logged.
	Logger *slog.Logger
}

// Config is a loaded configuration. It is safe for concurrent use.
type Config[T any] struct {
	loader *loader
	log    *slog.Logger

	current atomic.Pointer[T]

	// reload serialises reloads, and is held while they read files: nothing that they wait for takes it.
	reload sync.Mutex
	state  atomic.Pointer[state]       // written under reload, together with current
	looked atomic.Pointer[fingerprint] // of the files when they were read last, for better or worse
	hooks  []func(old, new *T)         // guarded by reload
	told   map[string]bool             // guarded by reload; warnings that were logged
}

// Load reads the configuration that T declares. Fields of defaults that are not zero are defaults.
//
// What is wrong with the configuration is told all at once: the error joins, as [errors.Join] does, a *[Problem] for each
// option, a *[SyntaxError] for each line, and an [fs.PathError] for each file. When the command line asks for help or the
// version, the error is flag.ErrHelp and its text the answer. A declaration that makes no sense is an error that begins
// "config: declaration of".
func Load[T any](s Source, defaults T) (*Config[T], error) {
	c := &Config[T]{log: s.Logger, told: make(map[string]bool)}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if c.loader, err = newLoader(s, reflect.ValueOf(&defaults).Elem()); err != nil {
		return nil, err
	}
	read := c.loader.read()
	value := defaults
	c.loader.schema.fill(reflect.ValueOf(&value).Elem(), read.results)
	if err := read.problems(func() error { return c.loader.schema.validate(reflect.ValueOf(&value)) }); err != nil {
		return nil, err
	}
	c.warn(read.warnings)
	c.current.Store(&value)
	c.state.Store(read)
	c.looked.Store(&read.sum)
	return c, nil
}

// Check is Load for a program that looks at somebody's configuration: it returns everything that is wrong or
// doubtful, ordered by file and line, rather than the values. The error is one of the declaration or of the command line.
func Check[T any](s Source, defaults T) ([]error, error) {
	loader, err := newLoader(s, reflect.ValueOf(&defaults).Elem())
	if err != nil {
		return nil, err
	}
	read := loader.read()
	value := defaults
	loader.schema.fill(reflect.ValueOf(&value).Elem(), read.results)
	found := unjoin(read.problems(func() error { return loader.schema.validate(reflect.ValueOf(&value)) }))
	for _, w := range read.warnings {
		found = append(found, w)
	}
	slices.SortFunc(found, byPosition)
	return found, nil
}

// Get returns the options as they are now. The struct never changes: one that was got stays consistent for as long as it
// is held, and the next Get may return another. Nobody may write to it.
func (c *Config[T]) Get() *T { return c.current.Load() }

// Args returns what the command line holds beside flags.
func (c *Config[T]) Args() []string { return c.loader.line.rest }

// Files returns the files that the values come from, in the order in which they were read.
func (c *Config[T]) Files() []string {
	files := c.state.Load().files
	paths := make([]string, len(files))
	for i, f := range files {
		paths[i] = f.path
	}
	return paths
}

// A Setting is one option as it is set.
type Setting struct {
	Group, Name string
	Value       string // as in a file; *** for a secret
	From        string // path:line, $OS_GROUP__OPTION, --flag, or "default"
}

// Settings returns all options in the order of their declaration.
func (c *Config[T]) Settings() []Setting {
	state := c.state.Load()
	settings := make([]Setting, 0, len(state.results))
	for _, o := range c.loader.schema.options {
		settings = append(settings, state.results[o].setting(o))
	}
	return settings
}

// String says which files were read, and no values.
func (c *Config[T]) String() string {
	return "config of " + cmp.Or(strings.Join(c.Files(), ", "), "no files")
}

// GoString is String, so that %#v shows no secrets either.
func (c *Config[T]) GoString() string { return c.String() }

// warn logs each warning once in the life of the program.
func (c *Config[T]) warn(warnings []*Problem) {
	for _, w := range warnings {
		if text := w.text(); !c.told[text] {
			c.told[text] = true
			c.log.Warn("configuration: doubtful option", "group", w.Group, "option", w.Option, "why", w.Reason, "at", w.Position)
		}
	}
}
