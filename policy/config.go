package policy

import (
	"log/slog"
	"path/filepath"
)

// Options are those of [oslo_policy], for package config.
type Options struct {
	EnforceScope bool     `config:"enforce_scope" default:"true" help:"Whether a rule allows tokens of its scopes only (system, domain, project)."`
	File         string   `config:"policy_file" default:"policy.yaml" deprecated:"DEFAULT.policy_file" help:"The operator's rules, in YAML or JSON. A relative path begins at the folder of the configuration file. Without the file, the program's own rules count."`
	DefaultRule  string   `config:"policy_default_rule" default:"default" deprecated:"DEFAULT.policy_default_rule" help:"The rule that answers for rules that nobody defines. Without it they allow nothing."`
	Dirs         []string `config:"policy_dirs,multi" default:"policy.d" deprecated:"DEFAULT.policy_dirs" help:"Folders with more such files, which count after policy_file, in the order of their names."`
}

// Config is what the options say, with relative paths beginning at folder, usually that of the configuration file.
func (o Options) Config(folder string) Config {
	within := func(path string) string {
		if path == "" || filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(folder, path)
	}
	c := Config{File: within(o.File), DefaultRule: o.DefaultRule, AnyScope: !o.EnforceScope}
	for _, dir := range o.Dirs {
		c.Dirs = append(c.Dirs, within(dir))
	}
	return c
}

// Config says which rules there are.
type Config struct {
	// Defaults are the program's own rules. Default: none.
	Defaults []Default
	// File holds the operator's rules, which take the place of defaults of their names: a mapping from names to rules,
	// in YAML or JSON. It need not exist. Default: none.
	File string
	// Dirs are folders whose files count after File, in the order of their names, except for those whose names begin with a
	// dot. They need not exist. Default: none.
	Dirs []string
	// DefaultRule is the name of the rule that answers for rules that nobody defines. If there is no such rule, they
	// allow nothing. Default: "default".
	DefaultRule string
	// AnyScope lets tokens of other scopes than ScopeTypes through to the rule. Default: they are refused, as by
	// oslo.policy since its release 4.4.
	AnyScope bool
	// Logger hears of rules that were read again, or could not be, and of rules in files that nobody can ask for.
	// Default: nothing is logged.
	Logger *slog.Logger
}

// A Default is a rule of the program's own.
type Default struct {
	Name        string      // by which the program asks; usually what:do, orders:delete
	Check       string      // in the language of the package
	Description string      // one or more paragraphs, for the sample file
	Operations  []Operation // of the REST API that ask for it, for the sample file
	ScopeTypes  []string    // of "system", "domain", "project": tokens for which the rule is made. None: for all
}

// An Operation is one of a REST API.
type Operation struct {
	Method string // GET
	Path   string // /v1/orders/{id}
}
