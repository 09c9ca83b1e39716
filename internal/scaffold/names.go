package scaffold

import (
	"errors"
	"fmt"
	"go/token"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/module"
)

// A Project says what a project is called, and its parts. Name is required.
type Project struct {
	// Name is the project's, of its folder and of its programs: shop, with shop-api and shop-manager. Small letters, digits and dashes.
	Name string
	// Module is its Go module. Default: Name.
	Module string
	// Topic is the one on which managers listen. Default: Name.
	Topic string
	// Resource is what the API is about, in the singular: order, floating_ip. Default: order.
	Resource string
}

var (
	projectName  = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	resourceName = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
	topicName    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$`)
)

// taken are names of every contract, which a resource's type cannot have.
var taken = []string{"Target", "Status", "Queued", "Processing", "Done"}

// complete fills in the defaults, and refuses what cannot be a name.
func (p Project) complete() (Project, error) {
	if !projectName.MatchString(p.Name) {
		return p, nameErrorf("%q cannot be a project's name: small letters, digits, and dashes between them, a letter first", p.Name)
	}
	if p.Module == "" {
		p.Module = p.Name
	}
	if p.Topic == "" {
		p.Topic = p.Name
	}
	if p.Resource == "" {
		p.Resource = "order"
	}
	if err := checkModule(p.Module); err != nil {
		return p, nameErrorf("%q cannot be the path of a Go module, such as example.com/%s (--module): %v", p.Module, p.Name, err)
	}
	switch {
	case !topicName.MatchString(p.Topic):
		return p, nameErrorf("%q cannot be a topic: letters, digits, dots, dashes and underscores", p.Topic)
	case !resourceName.MatchString(p.Resource):
		return p, nameErrorf("%q cannot be a resource's name: small letters, digits, and underscores between words, a letter first", p.Resource)
	case slices.Contains(taken, p.Type()) || slices.Contains(taken, p.Types()):
		return p, nameErrorf("%q cannot be a resource's name: the project has another %s", p.Resource, p.Type())
	}
	return p, nil
}

// checkModule refuses what the go command refuses in a go.mod, and what means something else to it.
func checkModule(path string) error {
	if slices.Contains([]string{"all", "cmd", "go", "internal", "std", "toolchain", "vendor"}, path) {
		return errors.New("go has another meaning for it")
	}
	if _, _, ok := module.SplitPathVersion(path); !ok {
		return errors.New("a version at its end is /v2 or higher")
	}
	return module.CheckImportPath(path)
}

// A NameError is a name that cannot be used.
type NameError struct{ text string }

func (e *NameError) Error() string { return e.text }

func nameErrorf(format string, args ...any) error { return &NameError{fmt.Sprintf(format, args...)} }

// Contract is the package of targets and methods.
func (p Project) Contract() string { return strings.ReplaceAll(p.Name, "-", "") + "api" }

// Python is the name as that of a Python package, which stands in api-paste.ini and in failures on the bus.
func (p Project) Python() string { return strings.ReplaceAll(p.Name, "-", "_") }

// Item is the resource on the wire, Items many of them, which is what URLs have.
func (p Project) Item() string { return p.Resource }

// Items is the plural of Item.
func (p Project) Items() string { return plural(p.Resource) }

// File is that of Items in packages, less .go.
func (p Project) File() string { return fileName(p.Items(), "resource") }

// Type is the resource in Go.
func (p Project) Type() string { return camel(p.Resource) }

// Types is the plural of Type.
func (p Project) Types() string { return camel(p.Items()) }

// Lower is Types as a Go name that is not exported.
func (p Project) Lower() string { return lowerCamel(p.Items()) }

// Words are Items for people.
func (p Project) Words() string { return words(p.Items()) }

// ArticleItem is "an order", and ArticleType at the beginning of a sentence "An Order".
func (p Project) ArticleItem() string { return article(p.Resource) + " " + words(p.Resource) }

// ArticleType is ArticleItem with the Go type, as doc comments begin.
func (p Project) ArticleType() string {
	return strings.ToUpper(article(p.Resource)[:1]) + article(p.Resource)[1:] + " " + p.Type()
}

func article(word string) string {
	if strings.ContainsRune("aeiou", rune(word[0])) {
		return "an"
	}
	return "a"
}

func words(snake string) string { return strings.ReplaceAll(snake, "_", " ") }

// plural is English's, as far as rules go.
func plural(word string) string {
	switch {
	case strings.HasSuffix(word, "y") && len(word) > 1 && !strings.ContainsRune("aeiou", rune(word[len(word)-2])):
		return strings.TrimSuffix(word, "y") + "ies"
	case strings.HasSuffix(word, "s"), strings.HasSuffix(word, "x"), strings.HasSuffix(word, "z"), strings.HasSuffix(word, "ch"), strings.HasSuffix(word, "sh"):
		return word + "es"
	}
	return word + "s"
}

// initialisms are written in capitals in Go.
var initialisms = []string{"api", "cpu", "dns", "http", "id", "ip", "json", "ram", "rpc", "url", "uuid", "vm"}

// camel is a name in Go: floating_ip is FloatingIP.
func camel(snake string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(snake, "_") {
		switch {
		case word == "":
		case slices.Contains(initialisms, word):
			b.WriteString(strings.ToUpper(word))
		case slices.Contains(initialisms, strings.TrimSuffix(word, "s")):
			b.WriteString(strings.ToUpper(word[:len(word)-1]) + "s")
		default:
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}

// lowerCamel is a name in Go that is not exported.
func lowerCamel(snake string) string {
	first, others, _ := strings.Cut(snake, "_")
	return first + camel(others)
}

// snake is a name on the wire: ShipOrder and ship_order are ship_order, and so is ship-order.
func snake(name string) string {
	var b strings.Builder
	runes := []rune(strings.ReplaceAll(name, "-", "_"))
	upper := func(i int) bool { return i < len(runes) && runes[i] >= 'A' && runes[i] <= 'Z' }
	for i, r := range runes {
		startsWord := upper(i) && i > 0 && runes[i-1] != '_' && (!upper(i-1) || i+1 < len(runes) && !upper(i+1) && runes[i+1] != '_')
		if startsWord {
			b.WriteByte('_')
		}
		b.WriteString(strings.ToLower(string(r)))
	}
	return b.String()
}

// constraints are the last words of names of files that Go does not build everywhere, or only in tests.
var constraints = []string{
	"test",
	"aix", "android", "darwin", "dragonfly", "freebsd", "illumos", "ios", "js", "linux", "netbsd", "openbsd", "plan9", "solaris", "wasip1", "windows",
	"386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64", "s390x", "wasm",
}

// fileName is that of a file about a method or a resource, less .go.
func fileName(about, kind string) string {
	_, last, several := strings.Cut(about, "_")
	if i := strings.LastIndex(last, "_"); i >= 0 {
		last = last[i+1:]
	}
	if several && slices.Contains(constraints, last) {
		return about + "_" + kind
	}
	return about
}

// methodName checks the name of a method, and returns it as it is on the wire.
func methodName(name string) (string, error) {
	wire := snake(name)
	if !resourceName.MatchString(wire) {
		return "", nameErrorf("%q cannot be a method's name: ship_order, or ShipOrder", name)
	}
	if token.IsKeyword(lowerCamel(wire)) {
		return "", nameErrorf("%q cannot be a method's name: Go has another meaning for it", name)
	}
	return wire, nil
}
