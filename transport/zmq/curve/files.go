package curve

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Endings of the files of a pair.
const (
	PublicEnding = ".key"
	SecretEnding = ".key_secret"
)

// maxFile is more than any file of keys holds, and keeps a device or a wrong path from filling the memory.
const maxFile = 1 << 20

// Files are the paths of a pair.
type Files struct {
	Public string `json:"public"` // anybody may read it
	Secret string `json:"secret"` // its owner alone may read it
}

// FilesOf are the files of the pair that is called name, in folder.
func FilesOf(folder, name string) Files {
	base := filepath.Join(folder, name)
	return Files{Public: base + PublicEnding, Secret: base + SecretEnding}
}

// Write makes the files of a pair, the secret one with mode 0600, in a folder that it makes with mode 0700 if it is missing. A file
// that is there already is never changed: the error wraps fs.ErrExist, and nothing is left behind.
func (f Files) Write(p Pair, name string) error {
	if err := os.MkdirAll(filepath.Dir(f.Secret), 0o700); err != nil {
		return fmt.Errorf("curve: %w", err)
	}
	head := fmt.Sprintf("#   Made by goslo on %s.\n", time.Now().Format(time.DateOnly))
	meta := fmt.Sprintf("metadata\n    name = %q\n", name)
	public := fmt.Sprintf("curve\n    public-key = \"%s\"\n", p.Public)
	secret := fmt.Sprintf("    secret-key = \"%s\"\n", p.Secret())
	if err := create(f.Secret, head+"#   SECRET: whoever can read this file is this peer.\n"+meta+public+secret, 0o600); err != nil {
		return fmt.Errorf("curve: %w", err)
	}
	if err := create(f.Public, head+meta+public, 0o644); err != nil {
		return errors.Join(fmt.Errorf("curve: %w", err), os.Remove(f.Secret))
	}
	return nil
}

func create(path, text string, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// ReadPair reads a pair's secret file, which nobody but its owner may be able to read. Errors say where and
// what, and quote no key.
func ReadPair(path string) (Pair, error) {
	text, info, err := read(path)
	if err != nil {
		return Pair{}, err
	}
	if open := info.Mode().Perm() & 0o077; open != 0 {
		return Pair{}, fmt.Errorf("curve: %s: others than its owner can read or change it (mode %#o), and it holds a secret key; run chmod 600 %s",
			path, info.Mode().Perm(), path)
	}
	c := parse(text)
	if c.secret == "" {
		return Pair{}, fmt.Errorf("curve: %s: holds no secret-key = \"...\"; the file to name is the one that ends with %s", path, SecretEnding)
	}
	p, err := ParsePair(c.secret)
	if err != nil {
		return Pair{}, fmt.Errorf("curve: %s: its secret-key %w", path, err)
	}
	if c.public != "" && c.public != p.Public.String() {
		return Pair{}, fmt.Errorf("curve: %s: its public-key does not belong to its secret-key", path)
	}
	return p, nil
}

// Keys are public keys and what they are called: the names of their files without the ending.
type Keys map[Key]string

// ReadKeys reads public keys: those of a folder's files that end with .key, or those of one file. A file is a
// certificate, or a list with a key on each line, a name after it if need be; lines that start with # are comments (no key does).
func ReadKeys(path string) (Keys, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("curve: %w", err)
	}
	if !info.IsDir() {
		return readFile(path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("curve: %w", err)
	}
	all := Keys{}
	for _, e := range entries {
		if e.IsDir() || filepath.Ext(e.Name()) != PublicEnding {
			continue
		}
		some, err := readFile(filepath.Join(path, e.Name()))
		if err != nil {
			return nil, err
		}
		maps.Copy(all, some)
	}
	return all, nil
}

func readFile(path string) (Keys, error) {
	text, _, err := read(path)
	if err != nil {
		return nil, err
	}
	name := strings.TrimSuffix(filepath.Base(path), PublicEnding)
	if c := parse(text); c.public != "" {
		k, err := ParseKey(c.public)
		if err != nil {
			return nil, fmt.Errorf("curve: %s: its public-key %w", path, err)
		}
		return Keys{k: name}, nil
	}
	all := Keys{}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		word, called, _ := strings.Cut(line, " ")
		k, err := ParseKey(word)
		if err != nil {
			return nil, fmt.Errorf("curve: %s:%d: the key %w", path, number, err)
		}
		if called = strings.TrimSpace(called); called == "" {
			called = name
		}
		all[k] = called
	}
	return all, nil
}

func read(path string) (string, fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", nil, fmt.Errorf("curve: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return "", nil, fmt.Errorf("curve: %s: is not a file of keys", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", nil, fmt.Errorf("curve: %w", err)
	}
	return string(b), info, nil
}

// A certificate is what a certificate file holds of keys, unchecked.
type certificate struct{ public, secret string }

// parse reads ZPL (ZeroMQ's RFC 4) as far as certificates need it: name = "value" on lines of their own, below "curve".
func parse(text string) (c certificate) {
	section := ""
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, value, isValue := strings.Cut(strings.TrimSpace(line), "=")
		name = strings.TrimSpace(name)
		switch {
		case !isValue && name != "" && !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "\t"):
			section = name
		case section == "curve" && name == "public-key":
			c.public = unquote(value)
		case section == "curve" && name == "secret-key":
			c.secret = unquote(value)
		}
	}
	return c
}

// unquote takes blanks and quotes away: ZPL has 'value', "value" and value.
func unquote(s string) string {
	s = strings.TrimSpace(s)
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}
