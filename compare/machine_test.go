package compare_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/modfile"
	"golang.org/x/sys/unix"
)

// A machine is where a group ran, and with what.
type machine struct {
	CPU      string    `json:"cpu"`
	Cores    int       `json:"cores"`
	Kernel   string    `json:"kernel"`
	Load     string    `json:"load"` // averages over 1, 5 and 15 minutes before the run
	Versions []version `json:"versions"`

	modules map[string]string // path to version
}

// A version is one of what took part.
type version struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// note adds a version.
func (m *machine) note(name, v string) { m.Versions = append(m.Versions, version{name, v}) }

// module adds the version of a Go module.
func (m *machine) module(name, path string) { m.note(name, m.modules[path]) }

// version is that of what has this name, "" where it took no part.
func (m *machine) version(name string) string {
	for _, v := range m.Versions {
		if v.Name == name {
			return v.Version
		}
	}
	return ""
}

// thisMachine is the machine as it is now. Versions of modules are those of go.mod: test binaries are built without them.
func thisMachine(tb testing.TB) machine {
	tb.Helper()
	m := machine{CPU: firstOf(tb, "/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(), modules: map[string]string{}}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		tb.Fatal(err)
	}
	m.Kernel = unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
	m.Load = strings.Join(strings.Fields(string(must(os.ReadFile("/proc/loadavg"))(tb)))[:3], " ")
	mod := must(modfile.Parse("go.mod", must(os.ReadFile("../go.mod"))(tb), nil))(tb)
	for _, r := range mod.Require {
		m.modules[r.Mod.Path] = r.Mod.Version
	}
	m.note("Go", strings.TrimPrefix(runtime.Version(), "go"))
	return m
}

// firstOf is the value of the first line of that name in a file of /proc.
func firstOf(tb testing.TB, path, name string) string {
	tb.Helper()
	for line := range strings.Lines(string(must(os.ReadFile(path))(tb))) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown" // not each kind of processor has a name there
}

// pythonVersions are those of the interpreter, oslo.messaging and its library for RabbitMQ.
var pythonVersions = sync.OnceValues(func() ([]version, error) {
	out, err := exec.Command(python, "-c", `
import importlib.metadata as m, platform, proton
print(platform.python_version(), m.version("oslo.messaging"), m.version("kombu"), "%d.%d.%d" % proton.VERSION)`).CombinedOutput()
	f := strings.Fields(string(out))
	if err != nil || len(f) != 4 {
		return nil, fmt.Errorf("versions of Python's packages: %w: %s; install them: scripts/setup", err, out)
	}
	return []version{{"Python", f[0]}, {"oslo.messaging", f[1]}, {"kombu", f[2]}, {"Qpid Proton", f[3]}}, nil
})

// python adds those versions of it that are named.
func (m *machine) python(tb testing.TB, names ...string) {
	tb.Helper()
	for _, name := range names {
		for _, v := range must(pythonVersions())(tb) {
			if v.Name == name {
				m.Versions = append(m.Versions, v)
			}
		}
	}
}
