package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Files are configuration files in the order in which they were given: what a later one says wins. They are for who
// has no declaration of the options; a program of its own uses [Load].
type Files []*File

// ReadFiles reads the files at paths. Errors are those of [ReadFile].
func ReadFiles(paths ...string) (Files, error) {
	files := make(Files, len(paths))
	for i, path := range paths {
		var err error
		if files[i], err = ReadFile(path); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// Paths returns the paths of the files.
func (f Files) Paths() []string {
	list := make([]string, len(f))
	for i, file := range f {
		list[i] = file.path
	}
	return list
}

// Get returns the value of an option in the last file that has it, "" when none has, and its position as "path:line".
// References are filled in as [Load] does, from the same files. The error is a *[Problem]: a reference to an
// option that no file has, whose default is therefore not known, or to itself.
func (f Files) Get(group, name string) (value, position string, err error) {
	file, e := f.last(key{normalGroup(group), name})
	if file == nil {
		return "", "", nil
	}
	position = file.at(e)
	if value, err = f.text(key{normalGroup(group), name}, nil); err != nil {
		return "", position, &Problem{Position: position, Group: group, Option: name, Reason: err.Error()}
	}
	return value, position, nil
}

// text is an option's value with references filled in. Within are the options whose values it is part of.
func (f Files) text(k key, within []key) (string, error) {
	_, e := f.last(k)
	within = append(within, k)
	return substitute(e.value, func(name string) (string, error) {
		groups, option := []string{k.group, Default}, name
		if group, rest, dotted := strings.Cut(name, "."); dotted {
			groups, option = []string{group}, rest
		}
		for _, group := range groups {
			to := key{normalGroup(group), option}
			if slices.Contains(within, to) {
				return "", fmt.Errorf("$%s refers back to this option", name)
			}
			if file, _ := f.last(to); file != nil {
				return f.text(to, within)
			}
		}
		// The name may be a piece of a password with a dollar sign in it.
		return "", errors.New("the name after $ is in none of the files, and what it is by default is not known; write the value itself, or $$ for a dollar sign")
	})
}

// Names returns the names of the options that a group has in any of the files, sorted.
func (f Files) Names(group string) []string {
	names := make(map[string]bool)
	for _, file := range f {
		for k := range file.options() {
			if k.group == normalGroup(group) {
				names[k.name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func (f Files) last(k key) (*File, entry) {
	for _, file := range slices.Backward(f) {
		if e, ok := file.last(k); ok {
			return file, e
		}
	}
	return nil, entry{}
}
