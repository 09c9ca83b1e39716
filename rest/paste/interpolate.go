package paste

import (
	"errors"
	"fmt"
	"strings"
)

// deepest is how far references may refer to references: configparser's MAX_INTERPOLATION_DEPTH.
const deepest = 10

// interpolate fills in %(name)s and %%. The error says what is wrong, not where, and quotes no value.
func interpolate(v value, look func(name string) (value, bool)) (string, error) {
	var b strings.Builder
	if err := fill(&b, v, look, 1); err != nil {
		return "", err
	}
	return b.String(), nil
}

func fill(b *strings.Builder, v value, look func(name string) (value, bool), depth int) error {
	if v.literal || !strings.Contains(v.text, "%") {
		b.WriteString(v.text)
		return nil
	}
	if depth > deepest {
		return fmt.Errorf("%%(name)s refers to itself, or through more than %d others", deepest)
	}
	for rest := v.text; rest != ""; {
		before, after, found := strings.Cut(rest, "%")
		b.WriteString(before)
		if !found {
			return nil
		}
		if escaped, ok := strings.CutPrefix(after, "%"); ok {
			b.WriteByte('%')
			rest = escaped
			continue
		}
		if !strings.HasPrefix(after, "(") {
			return errors.New("a \"%\" stands for itself as \"%%\", and refers to another setting as %(name)s")
		}
		end := strings.Index(after, ")")
		if end < 2 || !strings.HasPrefix(after[end+1:], "s") {
			return errors.New("a reference is written %(name)s, with an \"s\" after the bracket")
		}
		name := after[1:end]
		referred, ok := look(name)
		if !ok {
			return fmt.Errorf("%%(%s)s is neither a setting of the section nor one of [DEFAULT]", name)
		}
		if err := fill(b, referred, look, depth+1); err != nil {
			return err
		}
		rest = after[end+2:]
	}
	return nil
}
