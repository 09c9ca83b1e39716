package config_test

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/config"
)

// awkwardOptions are those of the files in testdata. Pointers tell no value, which is None in Python, from an empty one.
type awkwardOptions struct {
	Text        *string           `config:"text"`
	Quoted      *string           `config:"quoted"`
	Dashed      *string           `config:"dashed"`
	Late        *string           `config:"late"`
	Blank       *string           `config:"blank"`
	Number      *int              `config:"number"`
	BlankNumber *int              `config:"blank_number"`
	Limited     *int              `config:"limited" min:"1" max:"10"`
	Level       *int              `config:"level" choices:"10,20"`
	Float       *float64          `config:"float"`
	Switch      *bool             `config:"switch"`
	OtherSwitch *bool             `config:"other_switch"`
	List        []string          `config:"list"`
	Ports       []int             `config:"ports" type:"port"`
	Multi       []string          `config:"multi,multi"`
	Numbers     []int             `config:"numbers,multi"`
	Dict        map[string]string `config:"dict"`
	Counts      map[string]int    `config:"counts"`
	Host        *string           `config:"host" type:"host"`
	URL         *string           `config:"url" type:"uri"`
	Choice      *string           `config:"choice" choices:"one,two"`
	Renamed     *string           `config:"renamed" deprecated:"renamed_once"`
	Flagged     *int              `config:"flagged,flag"`
	Sure        *bool             `config:"sure,flag"`

	API struct {
		Text     *string           `config:"text"`
		Name     *string           `config:"name"`
		Workers  *int              `config:"workers" min:"0"`
		Port     *uint16           `config:"port" type:"port"`
		Debug    *bool             `config:"debug"`
		Trace    *bool             `config:"trace,flag"`
		Password *config.Secret    `config:"password"`
		Peer     *string           `config:"peer"`
		Hosts    []string          `config:"hosts" type:"host"`
		Tags     []string          `config:"tags"`
		Labels   map[string]string `config:"labels"`
		Address  *string           `config:"address" type:"ip"`
		Name4    *string           `config:"name4" type:"ipv4"`
		Name6    *string           `config:"name6" type:"ipv6"`
		Peername *string           `config:"peername" type:"hostname"`
		URL      *string           `config:"url" type:"uri"`
		Choice   *string           `config:"choice" choices:"one,two"`
		Level    *int              `config:"level" choices:"10,20"`
		Renamed  *string           `config:"renamed"`
		Moved    *string           `config:"moved" deprecated:"DEFAULT.moved,moved_in"`
		Several  []int             `config:"several,multi" deprecated:"old_group.several"`
	} `config:"api"`
	DB struct {
		Connection *string           `config:"connection"`
		Pool       *int              `config:"pool" deprecated:"old_group.pool_size"`
		Ratio      *float64          `config:"ratio"`
		Big        *float64          `config:"big"`
		Whole      *float64          `config:"whole"`
		Debug      *bool             `config:"debug"`
		Labels     map[string]string `config:"labels"`
		Address    *netip.Addr       `config:"address"`
		Peername   *string           `config:"peername" type:"hostdomain"`
		URL        *string           `config:"url" type:"uri"`
	} `config:"db"`
	Mine struct {
		SomeName  *string `config:"some-name"`
		OtherName *string `config:"other-name"`
	} `config:"my-group"`
}

//go:embed testdata/load.py
var loadProgram string

// A declaration is an option as load.py makes it.
type declaration struct {
	Group   string      `json:"group"`
	Name    string      `json:"name"`
	Shape   string      `json:"shape"` // scalar, list, dict or multi
	Item    string      `json:"item"`
	Min     *int        `json:"min,omitempty"`
	Max     *int        `json:"max,omitempty"`
	Choices []any       `json:"choices,omitempty"`
	Old     [][2]string `json:"old,omitempty"` // the group is null when it is the option's own
	Flag    bool        `json:"flag,omitempty"`

	field reflect.Value
}

// declarations reads the tags on its own account.
func declarations(v reflect.Value, group string) []declaration {
	var all []declaration
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, properties, _ := strings.Cut(f.Tag.Get("config"), ",")
		if f.Type.Kind() == reflect.Struct {
			all = append(all, declarations(v.Field(i), name)...)
			continue
		}
		d := declaration{Group: group, Name: name, Shape: "scalar", Item: f.Tag.Get("type"), field: v.Field(i)}
		d.Flag = strings.Contains(properties, "flag")
		switch f.Type.Kind() {
		case reflect.Slice:
			d.Shape = "list"
		case reflect.Map:
			d.Shape = "dict"
		}
		if properties == "multi" {
			d.Shape = "multi"
		}
		if d.Item == "" {
			d.Item = map[reflect.Type]string{
				reflect.TypeFor[int](): "int", reflect.TypeFor[float64](): "float", reflect.TypeFor[bool](): "bool", reflect.TypeFor[netip.Addr](): "ip",
			}[f.Type.Elem()]
		}
		if d.Item == "" {
			d.Item = "string"
		}
		d.Min, d.Max = limit(f.Tag.Get("min")), limit(f.Tag.Get("max"))
		for choice := range strings.FieldsFuncSeq(f.Tag.Get("choices"), func(r rune) bool { return r == ',' }) {
			if n := limit(choice); n != nil {
				d.Choices = append(d.Choices, *n)
			} else {
				d.Choices = append(d.Choices, choice)
			}
		}
		for old := range strings.FieldsFuncSeq(f.Tag.Get("deprecated"), func(r rune) bool { return r == ',' }) {
			oldGroup, oldName, dotted := strings.Cut(old, ".")
			if !dotted {
				oldGroup, oldName = group, old
			}
			d.Old = append(d.Old, [2]string{oldGroup, oldName})
		}
		all = append(all, d)
	}
	return all
}

func limit(text string) *int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return nil
	}
	return &n
}

// An awkwardCase is one folder: its *.conf, and what its files args and env add.
type awkwardCase struct {
	Files []string          `json:"files"`
	Dirs  []string          `json:"dirs"`
	Args  []string          `json:"args"`
	Env   map[string]string `json:"env"`
	name  string
}

func awkwardCases(t *testing.T, folder string) []awkwardCase {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	var cases []awkwardCase
	for _, dir := range dirs {
		dir, err := filepath.Abs(dir)
		if err != nil {
			t.Fatal(err)
		}
		c := awkwardCase{name: filepath.Base(dir), Dirs: []string{}, Args: []string{}, Env: map[string]string{}}
		if c.Files, err = filepath.Glob(filepath.Join(dir, "*.conf")); err != nil {
			t.Fatal(err)
		}
		if c.Files == nil {
			c.Files = []string{}
		}
		for line := range lines(t, filepath.Join(dir, "args")) {
			c.Args = append(c.Args, strings.ReplaceAll(line, "DIR", dir))
		}
		for line := range lines(t, filepath.Join(dir, "env")) {
			name, value, _ := strings.Cut(line, "=")
			c.Env[name] = value
		}
		cases = append(cases, c)
	}
	return cases
}

// lines yields the lines of a file that need not exist.
func lines(t *testing.T, path string) func(func(string) bool) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.FieldsFuncSeq(string(text), func(r rune) bool { return r == '\n' })
}

// An outcome is what either side says of one case. Errors are by option, with the place of the value; what is broken
// is what keeps oslo.config from reading any value.
type outcome struct {
	Values map[string]any    `json:"values,omitempty"`
	Errors map[string]string `json:"errors,omitempty"`
	Broken []string          `json:"broken,omitempty"`
}

func TestLoadAgreesWithOsloConfig(t *testing.T) {
	t.Parallel()
	cases := awkwardCases(t, "testdata/awkward")
	for i, want := range askOslo(t, cases) {
		t.Run(cases[i].name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(trimmed(want), load(t, cases[i])); diff != "" {
				t.Errorf("oslo.config (-) and this package (+) disagree:\n%s", diff)
			}
		})
	}
}

// TestDifferentFromOsloConfig holds what docs/configuration.md says of the differences, on both sides.
func TestDifferentFromOsloConfig(t *testing.T) {
	t.Parallel()
	const wrong = "an error"
	type pair struct{ Oslo, Goslo any }
	want := map[string]struct {
		option string
		pair
	}{
		"flag-before-file":          {"DEFAULT.flagged", pair{"3", "7"}},
		"flag-file-and-environment": {"DEFAULT.flagged", pair{"9", "7"}},
		"multi-in-environment":      {"DEFAULT.multi", pair{[]any{"o", "n", "e"}, []any{"one"}}},
		"list-in-reference":         {"DEFAULT.text", pair{"['a', 'b']", "a, b"}},
		"blank-items":               {"DEFAULT.ports", pair{[]any{"1", nil, "2"}, wrong}},
		"huge-integer":              {"DEFAULT.number", pair{"99999999999999999999", wrong}},
		"option-before-section":     {"DEFAULT.number", pair{"1.conf:2", "1.conf:1"}},
	}
	cases := awkwardCases(t, "testdata/different")
	for i, oslo := range askOslo(t, cases) {
		name, goslo := cases[i].name, load(t, cases[i])
		var got pair
		for to, from := range map[*any]outcome{&got.Oslo: oslo, &got.Goslo: goslo} {
			*to = from.Values[want[name].option]
			if _, failed := from.Errors[want[name].option]; failed {
				*to = wrong
			}
			if len(from.Broken) > 0 {
				*to = from.Broken[0]
			}
		}
		if diff := cmp.Diff(want[name].pair, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("no such cases: %v", want)
	}
}

// askOslo has oslo.config load the cases.
func askOslo(t *testing.T, cases []awkwardCase) []outcome {
	t.Helper()
	request, err := json.Marshal(map[string]any{
		"options": declarations(reflect.ValueOf(awkwardOptions{}), config.Default), "cases": cases,
	})
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", loadProgram)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(request), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("oslo.config did not run: %v\n%s\ninstall it: apt-get install python3-oslo.config", err, stderr.String())
	}
	var outcomes []outcome
	if err := json.Unmarshal(out, &outcomes); err != nil {
		t.Fatal(err)
	}
	return outcomes
}

func load(t *testing.T, c awkwardCase) outcome {
	t.Helper()
	source := config.Source{Files: c.Files, Dirs: c.Dirs, Args: c.Args, Env: lookup(c.Env)}
	conf, err := config.Load(source, awkwardOptions{})
	o := outcome{Values: map[string]any{}, Errors: map[string]string{}}
	if err != nil {
		return failed(t, c, err)
	}
	for _, d := range declarations(reflect.ValueOf(*conf.Get()), config.Default) {
		o.Values[d.Group+"."+d.Name] = plain(d.field)
	}
	return trimmed(o)
}

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
}

func trimmed(o outcome) outcome {
	if len(o.Errors) == 0 {
		o.Errors = nil
	}
	return o
}

// failed sorts the errors of a Load. Where only options are wrong, the others are compared all the same: the case is
// loaded again, without the wrong ones, as oslo.config finds a wrong value when it is asked for.
func failed(t *testing.T, c awkwardCase, err error) outcome {
	t.Helper()
	o := outcome{Values: map[string]any{}, Errors: map[string]string{}}
	for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
		var (
			syntax  *config.SyntaxError
			path    *fs.PathError
			problem *config.Problem
		)
		switch {
		case errors.As(err, &syntax) && len(o.Broken) == 0: // oslo.config stops there
			o.Broken = append(o.Broken, fmt.Sprintf("%s:%d", filepath.Base(syntax.Path), syntax.Line))
		case errors.As(err, &path):
			o.Broken = append(o.Broken, filepath.Base(path.Path))
		case errors.As(err, &problem):
			o.Errors[problem.Group+"."+problem.Option] = filepath.Base(problem.Position)
		}
	}
	if len(o.Broken) > 0 {
		return outcome{Broken: o.Broken}
	}
	for name, value := range config.Values(config.Source{Files: c.Files, Dirs: c.Dirs, Args: c.Args, Env: lookup(c.Env)}, awkwardOptions{}) {
		if _, wrong := o.Errors[name]; !wrong {
			o.Values[name] = plain(value)
		}
	}
	return o
}

// plain is a value as load.py writes it.
func plain(v reflect.Value) any {
	switch {
	case !v.IsValid():
		return nil
	case v.Kind() == reflect.Pointer && v.IsNil(), v.Kind() == reflect.Slice && v.IsNil(), v.Kind() == reflect.Map && v.IsNil():
		return nil
	case v.Kind() == reflect.Pointer:
		return plain(v.Elem())
	case v.Kind() == reflect.Slice:
		items := []any{}
		for i := range v.Len() {
			items = append(items, plain(v.Index(i)))
		}
		return items
	case v.Kind() == reflect.Map:
		items := map[string]any{}
		for _, k := range v.MapKeys() {
			items[k.String()] = plain(v.MapIndex(k))
		}
		return items
	}
	switch x := v.Interface().(type) {
	case bool:
		return map[bool]string{true: "True", false: "False"}[x]
	case float64:
		if math.IsInf(x, 0) || math.IsNaN(x) {
			return strings.ToLower(strings.TrimPrefix(strconv.FormatFloat(x, 'g', -1, 64), "+"))
		}
		return fmt.Sprintf("%.17g", x)
	case config.Secret:
		return x.Reveal()
	}
	return fmt.Sprint(v.Interface())
}
