package config

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
)

// Sample writes a configuration file in which every option that T declares, save retired ones, is explained and set to its default, as a
// comment, as oslo-config-generator does. A secret's default is not shown.
func Sample[T any](w io.Writer, defaults T) error {
	s, err := newSchema(reflect.ValueOf(&defaults).Elem())
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, g := range s.groups {
		options := slices.DeleteFunc(slices.Clone(s.options), func(o *option) bool { return o.group != g || o.retired })
		if len(options) == 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\n\n")
		}
		fmt.Fprintf(&b, "[%s]\n", g.name)
		comment(&b, g.help)
		for _, o := range options {
			o.sample(&b)
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("config: sample: %w", err)
	}
	return nil
}

// sample follows oslo_config/generator.py, format.
func (o *option) sample(b *strings.Builder) {
	b.WriteString("\n")
	text := strings.TrimSpace(o.docs.help + " (" + o.kind.name + ")")
	if o.docs.removal != "" {
		text = "DEPRECATED: " + text
	}
	comment(b, text)
	if o.kind.limits.minText != "" {
		fmt.Fprintf(b, "# Minimum value: %s\n", o.kind.limits.minText)
	}
	if o.kind.limits.maxText != "" {
		fmt.Fprintf(b, "# Maximum value: %s\n", o.kind.limits.maxText)
	}
	if choices := o.kind.limits.choiceTexts; len(choices) > 0 {
		comment(b, "Possible values: "+strings.Join(choices, ", "))
	}
	if o.required {
		b.WriteString("# This option is required.\n")
	}
	if o.mutable {
		b.WriteString("# Note: This option can be changed without restarting.\n")
	}
	for _, k := range o.old {
		fmt.Fprintf(b, "# Deprecated group/name - [%s]/%s\n", k.group, k.name)
	}
	if o.docs.removal != "" {
		comment(b, "This option is deprecated for removal, and its value may be ignored some day. Reason: "+o.docs.removal)
	}
	if o.advanced {
		b.WriteString("# Advanced Option: few need it, and it may cost stability or speed.\n")
	}
	if o.docs.sample != "" {
		b.WriteString("# The value below is an example, not the default.\n")
	}
	for _, value := range o.sampleValues() {
		if value != "" {
			value = " " + strings.ReplaceAll(value, "\n", "\n#    ")
		}
		fmt.Fprintf(b, "#%s =%s\n", underscored(o.name), value)
	}
}

// sampleValues are the default as a file would give it, one for each assignment.
func (o *option) sampleValues() []string {
	switch {
	case o.docs.sample != "":
		return []string{quoted(o.docs.sample)}
	case !o.fallback.has && o.multi:
		return []string{""}
	case !o.fallback.has:
		return []string{"<None>"}
	case o.secret:
		return []string{mask}
	}
	texts := []string{o.fallback.text}
	switch v := o.fallback.value; {
	case !v.IsValid() && o.multi:
		texts = o.defaultTexts()
	case v.IsValid() && o.multi:
		texts = nil
		for i := range v.Len() {
			texts = append(texts, escapeDollars(format(v.Index(i))))
		}
	case v.IsValid():
		texts[0] = escapeDollars(format(v))
	}
	if len(texts) == 0 {
		texts = []string{""}
	}
	for i := range texts {
		texts[i] = quoted(texts[i])
	}
	return texts
}

// quoted keeps blanks and quotes at the ends of a value.
func quoted(value string) string {
	if strings.TrimFunc(value, isSpace) != value || unquote(value) != value {
		return `"` + value + `"`
	}
	return value
}

func escapeDollars(text string) string { return strings.ReplaceAll(text, "$", "$$") }

// comment writes text, if any, as lines of 70 characters at most.
func comment(b *strings.Builder, text string) {
	if text == "" {
		return
	}
	for line := range strings.SplitSeq(wrap(text, 68), "\n") {
		b.WriteString(strings.TrimRight("# "+line, " ") + "\n")
	}
}

// wrap breaks the lines of a text between words.
func wrap(text string, width int) string {
	var lines []string
	for paragraph := range strings.SplitSeq(text, "\n") {
		line := ""
		for _, word := range strings.Fields(paragraph) {
			switch {
			case line == "":
				line = word
			case len(line)+1+len(word) > width:
				lines = append(lines, line)
				line = word
			default:
				line += " " + word
			}
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}
