package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goslo/goslo/transport/zmq/curve"
)

func TestZMQKeys(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	folder := filepath.Join(t.TempDir(), "keys")
	files := curve.FilesOf(folder, "compute1")
	got := s.run(t, "zmq", "keys", "compute1", "--folder", folder).want(t, 0)
	pair, err := curve.ReadPair(files.Secret) // which refuses a file that others can read
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{files.Secret, files.Public, pair.Public.String()} {
		if !strings.Contains(got.out, part) {
			t.Errorf("the output lacks %s:\n%s", part, got.out)
		}
	}
	if strings.Contains(got.out+got.err, pair.Secret()) {
		t.Errorf("the secret is shown:\n%s%s", got.out, got.err)
	}

	got = s.run(t, "zmq", "keys", "compute1", "--folder", folder).want(t, 2)
	if again, err := curve.ReadPair(files.Secret); err != nil || again != pair {
		t.Errorf("the keys were overwritten: %v, %v", again, err)
	}
	got.wantErr(t, files.Secret, "exists")

	got = s.run(t, "zmq", "keys", "api", "--folder", folder, "--json").want(t, 0)
	var told struct{ Name, Key, Public, Secret string }
	if err := json.Unmarshal([]byte(got.out), &told); err != nil {
		t.Fatalf("%v: %s", err, got.out)
	}
	keys, err := curve.ReadKeys(told.Public)
	if err != nil || len(keys) != 1 || told.Name != "api" {
		t.Fatalf("%+v: %v, %v", told, keys, err)
	}
	for key, name := range keys {
		if key.String() != told.Key || name != "api" {
			t.Errorf("told %s, and the file has %s %s", told.Key, name, key)
		}
	}
	if info, err := os.Stat(told.Secret); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v", told.Secret, info.Mode(), err)
	}
}
