package curve_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/transport/zmq/curve"
)

// The server's keys in libzmq's own tests (tests/test_security_curve.cpp, and zmq_curve(7)).
const (
	knownPublic = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
	knownSecret = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6" //nolint:gosec // Everybody knows it.
)

func TestPairIsLibzmqs(t *testing.T) {
	t.Parallel()
	p, err := curve.ParsePair(knownSecret)
	if err != nil {
		t.Fatal(err)
	}
	if p.Public.String() != knownPublic || p.Secret() != knownSecret {
		t.Errorf("the pair is %s and %s", p.Public, p.Secret())
	}
}

func TestTextIsTheKey(t *testing.T) {
	t.Parallel()
	for range 100 {
		p, err := curve.NewPair()
		if err != nil {
			t.Fatal(err)
		}
		again, err := curve.ParsePair(p.Secret())
		if err != nil || again != p {
			t.Fatalf("%s reads as %s: %v", p.Secret(), again.Secret(), err)
		}
		if k, err := curve.ParseKey(p.Public.String()); err != nil || k != p.Public {
			t.Fatalf("%s reads as %s: %v", p.Public, k, err)
		}
	}
}

func TestParseKeyRefuses(t *testing.T) {
	t.Parallel()
	for text, why := range map[string]string{
		"":                           "is 0 characters long",
		knownPublic[:39]:             "is 39 characters long",
		knownPublic[:39] + ",":       "the 40. of 40",
		strings.Repeat("#", 40):      "more than four bytes",
		knownPublic[:37] + "\u00e9 ": "the 38. of 40",
	} {
		if _, err := curve.ParseKey(text); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("ParseKey(%q): %v, want %q", text, err, why)
		}
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	p, err := curve.ParsePair(knownSecret)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"pair": p})
	if err != nil {
		t.Fatal(err)
	}
	var unescaped map[string]string
	if err := json.Unmarshal(text, &unescaped); err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{fmt.Sprint(p), fmt.Sprintf("%+v %#v %s", p, p, p), p.LogValue().String(), unescaped["pair"]} {
		if strings.Contains(printed, knownSecret) || !strings.Contains(printed, knownPublic) {
			t.Errorf("printed as %s", printed)
		}
	}
}

func TestWriteMakesWhatReadReads(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "keys")
	p, err := curve.NewPair()
	if err != nil {
		t.Fatal(err)
	}
	files := curve.FilesOf(folder, "compute1")
	if err := files.Write(p, "compute1"); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]fs.FileMode{files.Secret: 0o600, folder: fs.ModeDir | 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s: mode %v, want %v (%v)", path, info.Mode(), mode, err)
		}
	}
	if got, err := curve.ReadPair(files.Secret); err != nil || got != p {
		t.Errorf("ReadPair: %v, %v", got, err)
	}
	want := curve.Keys{p.Public: "compute1"}
	for _, path := range []string{files.Public, folder} {
		if got, err := curve.ReadKeys(path); err != nil || !cmp.Equal(want, got) {
			t.Errorf("ReadKeys(%s): %v, %v", path, got, err)
		}
	}
	if b, err := os.ReadFile(files.Public); err != nil || strings.Contains(string(b), p.Secret()) || strings.Contains(string(b), "secret") {
		t.Errorf("the public file is %q, %v", b, err)
	}
}

func TestWriteOverwritesNothing(t *testing.T) {
	t.Parallel()
	p, err := curve.NewPair()
	if err != nil {
		t.Fatal(err)
	}
	for _, there := range []string{curve.PublicEnding, curve.SecretEnding} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "a"+there), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := curve.FilesOf(folder, "a").Write(p, "a"); !errors.Is(err, fs.ErrExist) {
			t.Errorf("with a%s: %v", there, err)
		}
		entries, err := os.ReadDir(folder)
		if err != nil || len(entries) != 1 {
			t.Errorf("with a%s: %d files are there afterwards (%v)", there, len(entries), err)
		}
		if b, _ := os.ReadFile(filepath.Join(folder, "a"+there)); string(b) != "mine" {
			t.Errorf("a%s was overwritten", there)
		}
	}
}

func TestReadPairRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		mode fs.FileMode
		why  string
	}{
		"readable by others": {"curve\n    secret-key = \"" + knownSecret + "\"\n", 0o640, "chmod 600"},
		"the public file":    {"curve\n    public-key = \"" + knownPublic + "\"\n", 0o600, "ends with .key_secret"},
		"a broken key":       {"curve\n    secret-key = \"" + knownSecret[1:] + "\"\n", 0o600, "its secret-key is 39 characters long"},
		"halves of two":      {"curve\n    public-key = \"" + knownSecret + "\"\n    secret-key = \"" + knownSecret + "\"\n", 0o600, "does not belong"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a.key_secret")
			if err := os.WriteFile(path, []byte(c.text), c.mode); err != nil {
				t.Fatal(err)
			}
			_, err := curve.ReadPair(path)
			if err == nil || !strings.Contains(err.Error(), c.why) || !strings.Contains(err.Error(), path) {
				t.Fatalf("%v, want %q", err, c.why)
			}
			if strings.Contains(err.Error(), knownSecret[1:]) {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

// A certificate as pyzmq's zmq.auth.create_certificates writes it, and a list.
func TestReadKeysOfOthers(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	files := map[string]string{
		"pyzmq.key": "#   ****  Generated on 2026-11-21 by pyzmq  ****\n#   ZeroMQ CURVE Public Certificate\n\nmetadata\n    note = \"\"\n" +
			"curve\n    public-key = \"" + knownPublic + "\"\n",
		"list.key": "# the lab\n\n" + knownSecret + " lab one\n#" + knownPublic + "\n",
		"notes":    "nothing of ours",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := curve.ReadKeys(folder)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for k, name := range got {
		names[k.String()] = name
	}
	want := map[string]string{knownPublic: "pyzmq", knownSecret: "lab one"}
	if d := cmp.Diff(want, names); d != "" {
		t.Error(d)
	}
}

func TestReadKeysSaysWhere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(path, []byte(knownPublic+"\nnonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := curve.ReadKeys(path); err == nil || !strings.Contains(err.Error(), path+":2: ") {
		t.Errorf("%v", err)
	}
	if _, err := curve.ReadKeys(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a file that is not there: %v", err)
	}
}

func FuzzReadKeys(f *testing.F) {
	f.Add("curve\n    public-key = \"" + knownPublic + "\"\n")
	f.Add(knownPublic + " name\n")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "list")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		keys, err := curve.ReadKeys(path)
		if err != nil {
			return
		}
		for k := range keys {
			if again, err := curve.ParseKey(k.String()); err != nil || again != k {
				t.Errorf("%s reads as %s: %v", k, again, err)
			}
		}
	})
}
