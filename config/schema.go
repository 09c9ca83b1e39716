package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// A schema is what a struct declares.
type schema struct {
	options    []*option // in the order of declaration
	groups     []*group
	byKey      map[key]*option
	byOld      map[key]*option // by deprecated names
	flags      map[string]flagSpec
	validators [][]int // fields with a Validate method; an empty path is the struct itself
}

type group struct {
	name   string // as declared
	help   string
	shared bool
}

// An option is one field with a config tag.
type option struct {
	group *group
	name  string // as declared; in files its dashes are underscores
	field []int
	kind  kind
	multi bool

	flag, mutable, required, secret, advanced, retired bool

	short    string // a letter for the command line, or ""
	fallback fallback
	old      []key // deprecated names
	docs     docs
}

// A fallback is the value of an option that nobody gives: that of the program if valid, else text of the tag if has.
type fallback struct {
	value reflect.Value
	text  string
	has   bool
	blank reflect.Value // of an option that is given, as a blank number; invalid when there is no default, or it refers to others
}

type docs struct {
	help, removal, sample string
}

func (o *option) key() key { return key{normalGroup(o.group.name), underscored(o.name)} }

func (o *option) String() string { return "[" + o.group.name + "] " + o.name }

// env is the variable that sets the option.
func (o *option) env() string { return envName(o.group.name, o.name) }

func underscored(name string) string { return strings.ReplaceAll(name, "-", "_") }

// newSchema reads the declarations in the type of v, and the defaults in its value.
func newSchema(v reflect.Value) (*schema, error) {
	s := &schema{byKey: make(map[key]*option), byOld: make(map[key]*option)}
	if v.Kind() != reflect.Struct {
		return nil, fmt.Errorf("config: declaration of %s: not a struct", v.Type())
	}
	root := s.group(Default)
	if err := s.walk(v, nil, root); err != nil {
		return nil, err
	}
	for _, o := range s.options {
		for _, k := range o.old {
			if s.byKey[k] != nil {
				return nil, fmt.Errorf("config: declaration of %s: its deprecated name is that of another option", o)
			}
			s.byOld[k] = o
		}
	}
	var err error
	s.flags, err = flagSpecs(s.options)
	return s, err
}

// group returns the group of that name, made on first use.
func (s *schema) group(name string) *group {
	for _, g := range s.groups {
		if normalGroup(g.name) == normalGroup(name) {
			return g
		}
	}
	g := &group{name: name}
	s.groups = append(s.groups, g)
	return g
}

var validator = reflect.TypeFor[interface{ Validate() error }]()

func (s *schema) walk(v reflect.Value, path []int, g *group) error {
	t := v.Type()
	if reflect.PointerTo(t).Implements(validator) {
		s.validators = append(s.validators, path)
	}
	for i := range t.NumField() {
		f := t.Field(i)
		tag, tagged := f.Tag.Lookup("config")
		here := append(slices.Clone(path), i)
		var err error
		switch {
		case !tagged && f.Anonymous && f.Type.Kind() == reflect.Struct:
			err = s.walk(v.Field(i), here, g)
		case !tagged:
			err = untagged(f)
		case !f.IsExported():
			err = fmt.Errorf("config: declaration of %s: the field %s is not exported", tag, f.Name)
		case isGroup(f.Type):
			err = s.openGroup(f, tag, v.Field(i), here, g)
		default:
			err = s.declare(f, tag, v.Field(i), here, g)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// untagged finds options that nobody would read, since a config tag was forgotten or they stand behind a pointer.
func untagged(f reflect.StructField) error {
	for _, name := range []string{"default", "help", "choices", "deprecated"} {
		if _, ok := f.Tag.Lookup(name); ok {
			return fmt.Errorf("config: declaration of field %s: it has a %s tag, and no config tag with its name", f.Name, name)
		}
	}
	switch pointer := f.Type.Kind() == reflect.Pointer; {
	case !pointer && declares(f.Type):
		return fmt.Errorf("config: declaration of field %s: it holds options, and has no config tag with the name of their group", f.Name)
	case pointer && declares(f.Type.Elem()):
		return fmt.Errorf("config: declaration of field %s: it points to options; they must be in the struct itself", f.Name)
	}
	return nil
}

// declares says whether a struct of the type has options, or groups of them.
func declares(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if _, tagged := f.Tag.Lookup("config"); tagged || f.Anonymous && declares(f.Type) {
			return true
		}
	}
	return false
}

func isGroup(t reflect.Type) bool { return t.Kind() == reflect.Struct && !isText(t) && t != secretType }

func (s *schema) openGroup(f reflect.StructField, tag string, v reflect.Value, path []int, outer *group) error {
	words := strings.Split(tag, ",")
	if outer.name != Default {
		return fmt.Errorf("config: declaration of [%s]: a group within [%s]; groups are not nested", words[0], outer.name)
	}
	if words[0] == "" {
		return fmt.Errorf("config: declaration of field %s: the group has no name", f.Name)
	}
	g := s.group(words[0])
	if help := f.Tag.Get("help"); help != "" {
		g.help = help
	}
	for _, word := range words[1:] {
		if word != "shared" {
			return fmt.Errorf("config: declaration of [%s]: %q is not a property of a group; there is shared", g.name, word)
		}
		g.shared = true
	}
	return s.walk(v, path, g)
}

var optionName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

func (s *schema) declare(f reflect.StructField, tag string, v reflect.Value, path []int, g *group) error {
	words := strings.Split(tag, ",")
	o := &option{group: g, name: words[0], field: path, short: f.Tag.Get("short")}
	o.docs = docs{help: f.Tag.Get("help"), removal: f.Tag.Get("removal"), sample: f.Tag.Get("sample")}
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("config: declaration of %s: %w", o, fmt.Errorf(format, args...))
	}
	if !optionName.MatchString(o.name) {
		return wrong("%q is not a name of letters, digits, - and _", o.name)
	}
	for _, word := range words[1:] {
		property := map[string]*bool{
			"flag": &o.flag, "mutable": &o.mutable, "required": &o.required, "secret": &o.secret, "multi": &o.multi, "advanced": &o.advanced, "retired": &o.retired,
		}[word]
		if property == nil {
			return wrong("%q is not a property; there are advanced, flag, multi, mutable, required, retired and secret", word)
		}
		*property = true
	}
	if len(o.short) > 1 || o.short != "" && !o.flag {
		return wrong("short is one letter, for an option that is a flag")
	}
	var err error
	if o.kind, err = kindOf(f, o.multi); err != nil {
		return wrong("%w", err)
	}
	if o.secret && !hides(f.Type) {
		return wrong("a secret must be a config.Secret, or a type that reads its own text and shows none of it")
	}
	o.secret = o.secret || o.kind.secret
	for old := range splitTag(f.Tag.Get("deprecated")) {
		o.old = append(o.old, oldKey(old, g))
	}
	if err := o.setFallback(f, v); err != nil {
		return wrong("default: %w", err)
	}
	if s.byKey[o.key()] != nil {
		return wrong("it is declared twice")
	}
	s.byKey[o.key()] = o
	s.options = append(s.options, o)
	return nil
}

func oldKey(old string, g *group) key {
	if at := strings.LastIndexByte(old, '.'); at >= 0 {
		return key{normalGroup(old[:at]), underscored(old[at+1:])}
	}
	return key{normalGroup(g.name), underscored(old)}
}

func (o *option) setFallback(f reflect.StructField, v reflect.Value) error {
	if !v.IsZero() {
		o.fallback = fallback{value: v, has: true, blank: v}
		return o.kind.limits.checkAll(v)
	}
	text, ok := f.Tag.Lookup("default")
	if !ok {
		return nil
	}
	o.fallback = fallback{text: text, has: true}
	if hasReference(text) {
		return nil
	}
	texts := o.defaultTexts()
	for i := range texts {
		texts[i] = unescapeDollars(texts[i])
	}
	var err error
	o.fallback.blank, err = o.kind.read(texts)
	return err
}

// defaultTexts are the assignments that the default tag stands for: one, or for a multi-valued option as many as commas
// separate.
func (o *option) defaultTexts() []string {
	if !o.multi {
		return []string{o.fallback.text}
	}
	return slices.Collect(splitTag(o.fallback.text))
}

// fill sets the fields of v that have a value.
func (s *schema) fill(v reflect.Value, results map[*option]*result) {
	for _, o := range s.options {
		field := v.FieldByIndex(o.field)
		if r := results[o]; r.value.IsValid() {
			field.Set(r.value)
		} else {
			field.SetZero()
		}
	}
}

// validate asks the groups, and the whole, given as a pointer.
func (s *schema) validate(v reflect.Value) error {
	for _, path := range slices.Backward(s.validators) { // groups before the whole
		field := v.Elem().FieldByIndex(path)
		if err := field.Addr().Interface().(interface{ Validate() error }).Validate(); err != nil {
			return fmt.Errorf("config: %w", err)
		}
	}
	return nil
}

// splitTag yields what a tag lists with commas.
func splitTag(list string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		if list == "" {
			return
		}
		for item := range strings.SplitSeq(list, ",") {
			if !yield(strings.TrimSpace(item)) {
				return
			}
		}
	}
}
