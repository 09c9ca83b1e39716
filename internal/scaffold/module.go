package scaffold

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// Module is this library's.
const Module = "github.com/goslo/goslo"

// A Library says which goslo a project requires.
type Library struct {
	Version  string
	Checkout string // the folder that stands in for the module; "" = the version, as it was released
}

// unreleased is the version of what only a folder has, as go has it.
const unreleased = "v0.0.0-00010101000000-000000000000"

// FindLibrary returns the goslo that this program was built from: a released version, or a checkout. With replace it is the checkout
// in that folder.
func FindLibrary(replace string) (Library, error) {
	if replace != "" {
		folder, err := filepath.Abs(replace)
		if err != nil {
			return Library{}, fmt.Errorf("scaffold: %w", err)
		}
		if err := isCheckout(folder); err != nil {
			return Library{}, err
		}
		return Library{unreleased, folder}, nil
	}
	info, ok := debug.ReadBuildInfo()
	if version := released(info); ok && version != "" {
		return Library{Version: version}, nil
	}
	_, file, _, _ := runtime.Caller(0)
	folder := filepath.Dir(filepath.Dir(filepath.Dir(file)))
	if !filepath.IsAbs(file) {
		return Library{}, errors.New("this goslo does not know where the checkout is that it was built from, with -trimpath: name one with --replace FOLDER")
	}
	if err := isCheckout(folder); err != nil {
		return Library{}, fmt.Errorf("this goslo was built from a checkout that is no longer there: name another with --replace FOLDER: %w", err)
	}
	return Library{unreleased, folder}, nil
}

// released is the version that was installed as such; "" for a build from a checkout.
func released(info *debug.BuildInfo) string {
	if info == nil || info.Main.Path != Module || info.Main.Version == "(devel)" {
		return ""
	}
	for _, s := range info.Settings {
		if strings.HasPrefix(s.Key, "vcs.") { // then the version was made of a commit
			return ""
		}
	}
	return info.Main.Version
}

// isCheckout returns an error unless the folder has this module.
func isCheckout(folder string) error {
	text, err := os.ReadFile(filepath.Join(folder, "go.mod"))
	if err != nil {
		return fmt.Errorf("%s has no checkout of goslo: %w", folder, err)
	}
	if path := modulePathOf(text); path != Module {
		return fmt.Errorf("%s has no checkout of goslo: its go.mod is that of %q", folder, path)
	}
	return nil
}

var moduleLine = regexp.MustCompile(`(?m)^module\s+"?([^\s"]+)"?`)

// modulePathOf reads a go.mod.
func modulePathOf(text []byte) string {
	if m := moduleLine.FindSubmatch(text); m != nil {
		return string(m[1])
	}
	return ""
}

// sums are the checkout's, which a project needs too: go asks the network about what has none.
func (l Library) sums() ([]byte, error) {
	if l.Checkout == "" {
		return nil, nil
	}
	text, err := os.ReadFile(filepath.Join(l.Checkout, "go.sum"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("scaffold: %w", err)
	}
	return text, nil
}

// Tidy completes the go.mod of a project by `go mod tidy`, which needs the network for modules that this machine has not met.
func Tidy(ctx context.Context, folder string) error {
	c := exec.CommandContext(ctx, "go", "mod", "tidy")
	c.Dir = folder
	c.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Run(); err != nil {
		if text := firstProblems(out.String()); text != "" {
			err = fmt.Errorf("%w: %s", err, text)
		}
		return fmt.Errorf("the files are written, but go.mod is not complete: run go mod tidy in %s when this is mended: %w", folder, err)
	}
	return nil
}

// firstProblems are the first lines that go says, without what it fetches: one cause, such as no network, has hundreds.
func firstProblems(said string) string {
	const most = 5
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(said), "\n"), func(line string) bool {
		return strings.HasPrefix(line, "go: downloading ")
	})
	if len(lines) > most {
		lines = append(lines[:most], fmt.Sprintf("... and %d lines more", len(lines)-most))
	}
	return strings.Join(lines, "\n")
}

// InWorkspace reports whether a go.work governs what is built in the folder, in which go builds only the modules that it lists.
func InWorkspace(ctx context.Context, folder string) (bool, error) {
	c := exec.CommandContext(ctx, "go", "env", "GOWORK")
	c.Dir = folder
	out, err := c.Output()
	if err != nil {
		return false, fmt.Errorf("scaffold: go env GOWORK in %s: %w", folder, err)
	}
	file := strings.TrimSpace(string(out))
	return file != "" && file != "off", nil
}
