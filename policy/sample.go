package policy

import (
	"fmt"
	"io"
	"strings"
)

// sampleWidth is how many characters of text oslopolicy-sample-generator puts into a line, with "# ".
const sampleWidth = 70

// WriteSample writes a policy file in which all rules are commented out and explained, as oslopolicy-sample-generator
// does: a copy is where operators begin.
func WriteSample(w io.Writer, defaults []Default) error {
	var b strings.Builder
	for _, d := range defaults {
		writeComment(&b, d.Description)
		for _, o := range d.Operations {
			fmt.Fprintf(&b, "# %s  %s\n", o.Method, o.Path)
		}
		if len(d.ScopeTypes) > 0 {
			fmt.Fprintf(&b, "# Intended scope(s): %s\n", strings.Join(d.ScopeTypes, ", "))
		}
		fmt.Fprintf(&b, "#\"%s\": \"%s\"\n\n", d.Name, d.Check)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("policy: write a sample: %w", err)
	}
	return nil
}

// writeComment wraps paragraphs, which empty lines divide; lines that begin with a blank stay as they are.
func writeComment(b *strings.Builder, text string) {
	var words []string
	flush := func() {
		line := "#"
		for _, word := range words {
			if len(line) > 1 && len(line)+1+len(word) > sampleWidth {
				b.WriteString(line + "\n")
				line = "#"
			}
			line += " " + word
		}
		if words != nil {
			b.WriteString(line + "\n")
		}
		words = nil
	}
	text = strings.TrimSpace(text)
	if text == "" {
		return
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\r\n")
		switch {
		case line == "":
			flush()
			b.WriteString("#\n")
		case line[0] == ' ' || line[0] == '\t':
			flush()
			b.WriteString("# " + line + "\n")
		default:
			words = append(words, strings.Fields(line)...)
		}
	}
	flush()
}
