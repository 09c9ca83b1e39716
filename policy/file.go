package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// files are those to be read, in this order. Some may not exist.
func files(c *Config) []string {
	var files []string
	if c.File != "" {
		files = append(files, c.File)
	}
	for _, dir := range c.Dirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			files = append(files, dir) // reading it says what is wrong
		}
		for _, entry := range entries {
			if !entry.IsDir() && !strings.HasPrefix(entry.Name(), ".") {
				files = append(files, filepath.Join(dir, entry.Name()))
			}
		}
	}
	return files
}

// A stamp tells whether a file is still the same.
type stamp struct {
	path     string
	modified time.Time
	size     int64
}

// stamps are those of the files that exist.
func stamps(c *Config) []stamp {
	var stamps []stamp
	for _, file := range files(c) {
		if info, err := os.Stat(file); err == nil {
			stamps = append(stamps, stamp{file, info.ModTime(), info.Size()})
		}
	}
	return stamps
}

// missing is a file of before that is not among those of now; "" if there is none.
func missing(before, now []stamp) string {
	for _, b := range before {
		if !slices.ContainsFunc(now, func(n stamp) bool { return n.path == b.path }) {
			return b.path
		}
	}
	return ""
}

// readFile reads the rules of a file. One that does not exist has none.
func readFile(path string) ([]*rule, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read rules: %w", err)
	}
	return parseFile(path, data)
}

// parseFile reads a mapping from names to rules, in YAML or JSON.
func parseFile(path string, data []byte) ([]*rule, error) {
	if json.Valid(data) {
		// YAML knows JSON, except for tabs between its tokens. Within strings JSON allows none.
		data = bytes.ReplaceAll(data, []byte("\t"), []byte(" "))
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(document.Content) == 0 || document.Content[0].Tag == "!!null" {
		return nil, nil // nothing, or comments only
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: a policy file is a mapping from names to rules", path, root.Line)
	}
	var problems []error
	var made []*rule
	lines := make(map[string]int)
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		where := fmt.Sprintf("%s:%d", path, key.Line)
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			problems = append(problems, fmt.Errorf("%s: the name of a rule is a string", where))
			continue
		}
		if before := lines[key.Value]; before != 0 {
			problems = append(problems, fmt.Errorf("%s: rule %q: line %d has it too", where, key.Value, before))
			continue
		}
		lines[key.Value] = key.Line
		c, err := checkOf(value)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: rule %q: %w", where, key.Value, err))
			continue
		}
		made = append(made, &rule{name: key.Value, check: c, where: where})
	}
	return made, errors.Join(problems...)
}

// checkOf reads the value of a rule: text, or the old form.
func checkOf(value *yaml.Node) (check, error) {
	if value.Kind == yaml.AliasNode {
		value = value.Alias
	}
	switch value.Kind {
	case yaml.ScalarNode:
		if value.Value == "" && value.Style == 0 || value.Tag == "!!null" {
			return nil, errors.New(`it has no value; write "@" to allow everybody, or "!" to allow nobody`)
		}
		if value.Tag != "!!str" {
			return nil, fmt.Errorf("%s: a rule is a string", value.Value)
		}
		c, err := parse(value.Value)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", value.Value, err)
		}
		return c, nil
	case yaml.SequenceNode:
		list := make([]any, len(value.Content))
		for i, element := range value.Content {
			list[i] = plain(element)
		}
		return parseList(list)
	default:
		return nil, errors.New("a rule is a string, or a list of lists of checks")
	}
}

// plain is a string, or a list of what is none itself. Everything else is a node, which no check is.
func plain(value *yaml.Node) any {
	switch {
	case value.Kind == yaml.ScalarNode && value.Tag == "!!str":
		return value.Value
	case value.Kind == yaml.SequenceNode:
		list := make([]any, len(value.Content))
		for i, element := range value.Content {
			list[i] = element.Value
		}
		return list
	default:
		return value
	}
}
