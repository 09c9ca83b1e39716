package config

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goslo/goslo/internal/nearest"
)

// A commandLine is what the arguments say.
type commandLine struct {
	flags             map[*option][]string
	places            []place
	hasFiles, hasDirs bool
	rest              []string
}

// An answer is what the command line asked for in place of running the program.
type answer struct{ text string }

func (a *answer) Error() string { return a.text }

func (a *answer) Is(target error) bool { return target == flag.ErrHelp }

// A flagSpec is what one --name does.
type flagSpec struct {
	option *option
	value  string // of a flag that takes none
	bare   bool   // it takes none
}

// flagName is the option's on the command line, less the dashes in front.
func (o *option) flagName() string { return flagName(o.group.name, o.name) }

func flagName(group, name string) string {
	if group == Default {
		return name
	}
	return group + "-" + name
}

// builtIn are the flags that every program has.
var builtIn = []string{"config-dir", "config-file", "help"}

// flagSpecs are the flags of options: by name, with dashes for underscores, and by letter, behind a dash.
func flagSpecs(options []*option) (map[string]flagSpec, error) {
	specs := make(map[string]flagSpec)
	for _, o := range options {
		if !o.flag {
			continue
		}
		set := flagSpec{option: o, value: "true", bare: o.boolean()}
		own := make(map[string]flagSpec)
		if o.short != "" {
			own["-"+o.short] = set
		}
		for _, k := range append([]key{{o.group.name, o.name}}, o.old...) {
			own[dashed(flagName(k.group, k.name))] = set
			if o.boolean() {
				own[dashed(flagName(k.group, "no"+k.name))] = flagSpec{option: o, value: "false", bare: true}
			}
		}
		for name, spec := range own {
			other, taken := specs[name]
			switch {
			case taken:
				return nil, fmt.Errorf("config: declaration of %s: its flag %s is one of %s too", o, flagText(name), other.option)
			case slices.Contains(builtIn, name):
				return nil, fmt.Errorf("config: declaration of %s: every program has a flag --%s", o, name)
			}
			specs[name] = spec
		}
	}
	return specs, nil
}

func (o *option) boolean() bool { return o.kind.name == "boolean value" }

// flagText is the name of a flag as it is written.
func flagText(name string) string {
	if strings.HasPrefix(name, "-") {
		return name
	}
	return "--" + name
}

func dashed(name string) string { return strings.ReplaceAll(name, "_", "-") }

// parseArgs reads the command line as Python's argparse does for oslo.config, less its abbreviations.
func parseArgs(s *schema, source Source) (*commandLine, error) {
	p := argParser{source: source, schema: s, args: source.Args, line: &commandLine{flags: make(map[*option][]string)}}
	for len(p.args) > 0 {
		arg := p.args[0]
		p.args = p.args[1:]
		var err error
		switch {
		case arg == "--":
			p.line.rest = append(p.line.rest, p.args...)
			p.args = nil
		case strings.HasPrefix(arg, "--"):
			err = p.long(arg[2:])
		case len(arg) > 1 && arg[0] == '-' && (arg[1] < '0' || arg[1] > '9'):
			err = p.letters(arg[1:])
		default:
			p.line.rest = append(p.line.rest, arg)
		}
		if err != nil {
			return nil, err
		}
	}
	return p.line, nil
}

type argParser struct {
	source Source
	schema *schema
	args   []string // still to be read
	line   *commandLine
}

func (p *argParser) long(arg string) error {
	name, value, given := strings.Cut(arg, "=")
	name = dashed(name)
	switch name {
	case "help":
		return &answer{help(p.schema, p.source)}
	case "version":
		if p.source.Version != "" {
			return &answer{p.source.Version + "\n"}
		}
	case "config-file", "config-dir":
		path, err := p.value(name, value, given)
		if err != nil {
			return err
		}
		dir := name == "config-dir"
		p.line.places = append(p.line.places, place{path: path, dir: dir})
		p.line.hasFiles, p.line.hasDirs = p.line.hasFiles || !dir, p.line.hasDirs || dir
		return nil
	}
	spec, ok := p.schema.flags[name]
	if !ok || strings.HasPrefix(name, "-") {
		return p.unknown("--" + name)
	}
	return p.set(spec, "--"+name, value, given)
}

// letters reads -d, -dv and -w5.
func (p *argParser) letters(arg string) error {
	for i := range arg {
		letter := arg[i : i+1]
		spec, ok := p.schema.flags["-"+letter]
		switch {
		case letter == "h" && !ok:
			return &answer{help(p.schema, p.source)}
		case !ok:
			return p.unknown("-" + letter)
		case !spec.bare:
			rest := strings.TrimPrefix(arg[i+1:], "=")
			return p.set(spec, "-"+letter, rest, rest != "")
		}
		if err := p.set(spec, "-"+letter, "", false); err != nil {
			return err
		}
	}
	return nil
}

func (p *argParser) set(spec flagSpec, name, value string, given bool) error {
	switch {
	case spec.bare && given && spec.value == "false":
		return fmt.Errorf("config: %s takes no value", name)
	case spec.bare && !given:
		value = spec.value
	case !spec.bare:
		var err error
		if value, err = p.value(strings.TrimLeft(name, "-"), value, given); err != nil {
			return err
		}
	}
	if spec.option.multi {
		p.line.flags[spec.option] = append(p.line.flags[spec.option], value)
	} else {
		p.line.flags[spec.option] = []string{value}
	}
	return nil
}

// value takes the next argument unless one came with the flag.
func (p *argParser) value(name, value string, given bool) (string, error) {
	if given {
		return value, nil
	}
	if len(p.args) == 0 || len(p.args[0]) > 1 && p.args[0][0] == '-' && (p.args[0][1] < '0' || p.args[0][1] > '9') {
		return "", fmt.Errorf("config: --%s needs a value: --%s=VALUE", name, name)
	}
	value, p.args = p.args[0], p.args[1:]
	return value, nil
}

func (p *argParser) unknown(name string) error {
	known := append(slices.Collect(maps.Keys(p.schema.flags)), builtIn...)
	hint := "see --help"
	if near, ok := nearest.To(strings.TrimLeft(name, "-"), known); ok {
		hint = "did you mean --" + near + "?"
	}
	return fmt.Errorf("config: there is no flag %s; %s", name, hint)
}

// help is the answer to --help.
func help(s *schema, source Source) string {
	var b strings.Builder
	prog := source.Prog
	if prog == "" {
		prog = "program"
	}
	fmt.Fprintf(&b, "usage: %s [flags]\n\nflags:\n", prog)
	entry := func(name, text string) {
		fmt.Fprintf(&b, "  %s\n", name)
		for line := range strings.SplitSeq(wrap(text, 72), "\n") {
			fmt.Fprintf(&b, "        %s\n", line)
		}
	}
	entry("--config-file PATH", "a configuration file; repeatable, later ones win")
	entry("--config-dir DIR", "a folder whose *.conf are read in their order; repeatable")
	entry("-h, --help", "print this")
	if source.Version != "" {
		entry("--version", "print the version")
	}
	for _, o := range s.options {
		if o.flag {
			entry(o.usage(), o.helpText())
		}
	}
	b.WriteString("\nOptions without a flag are set in a file, or in the environment as OS_GROUP__OPTION.\n")
	return b.String()
}

func (o *option) usage() string {
	name := "--" + dashed(o.flagName())
	if o.short != "" {
		name = "-" + o.short + ", " + name
	}
	if o.boolean() {
		return name + ", --" + dashed(flagName(o.group.name, "no"+o.name))
	}
	return name + " " + strings.ToUpper(underscored(o.name))
}

func (o *option) helpText() string {
	text := o.docs.help
	if len(o.kind.limits.choiceTexts) > 0 {
		text += " One of " + strings.Join(o.kind.limits.choiceTexts, ", ") + "."
	} else if span := o.kind.limits.span(); span != "" {
		text += " It is " + span + "."
	}
	if shown := o.sampleValues(); o.fallback.has && !slices.Contains(shown, "") {
		text += " Default: " + strings.Join(shown, ", ") + "."
	}
	return strings.TrimSpace(text)
}
