package config

import (
	"regexp"
	"strings"
)

// reference finds what oslo_config/cfg.py, Template, fills in: "$$", $name and ${name}, where a name may hold dots.
// Any other "$" stands for itself.
var reference = regexp.MustCompile(`\$(?:(\$)|([A-Za-z_][A-Za-z0-9_.]*)|\{([A-Za-z_][A-Za-z0-9_.]*)\})`)

// substitute fills in references. It stops at the first one that look does not know.
func substitute(text string, look func(name string) (string, error)) (string, error) {
	if !strings.Contains(text, "$") {
		return text, nil
	}
	text = strings.ReplaceAll(text, `\$`, "$$")
	var b strings.Builder
	for {
		at := reference.FindStringSubmatchIndex(text)
		if at == nil {
			b.WriteString(text)
			return b.String(), nil
		}
		b.WriteString(text[:at[0]])
		switch {
		case at[2] >= 0:
			b.WriteByte('$')
		default:
			from, to := at[4], at[5]
			if from < 0 {
				from, to = at[6], at[7]
			}
			value, err := look(text[from:to])
			if err != nil {
				return "", err
			}
			b.WriteString(value)
		}
		text = text[at[1]:]
	}
}

func hasReference(text string) bool {
	found := false
	_, _ = substitute(text, func(string) (string, error) { found = true; return "", nil })
	return found
}

// unescapeDollars is substitute for a text without references.
func unescapeDollars(text string) string {
	text, _ = substitute(text, func(string) (string, error) { return "", nil })
	return text
}
