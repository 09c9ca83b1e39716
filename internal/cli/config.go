package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/config/messaging"
	"github.com/goslo/goslo/transport"
)

func (a *app) config() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Check configuration files, and write a sample of one",
		Example: `  goslo config check /etc/nova/nova.conf
  goslo config sample > project.conf`,
		Args: subcommandsOnly,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.configCheck(), a.configSample())
	return c
}

func (a *app) configCheck() *cobra.Command {
	var strict bool
	c := &cobra.Command{
		Use:   "check FILE...",
		Short: "Say what is wrong in configuration files",
		Long: `Read configuration files as a service does that is started with them, the later ones winning, and say what is
wrong: lines that cannot be read, values in [DEFAULT] and the groups of transports that oslo.messaging or goslo
refuses, options that do not go together, certificates that are not there; each with its line. Of a folder,
*.conf are read. Nothing is connected to.

Old names, and names in the groups of transports that nobody knows, are warnings; so are those in [DEFAULT], and of
sections, that look like a slip. Other sections and options are left alone. Values that may be secret are not shown, and
environment variables are not read.

The exit code is 0 when all is well or there are only warnings, 2 when anything is wrong, or with --strict when
anything is said.`,
		Example: `  goslo config check /etc/nova/nova.conf
  goslo config check /etc/nova/nova.conf /etc/nova/nova.conf.d --strict
  goslo config check /etc/cinder/cinder.conf --json`,
		Args: arguments(1, 1000),
		RunE: func(_ *cobra.Command, files []string) error { return a.check(files, strict) },
	}
	c.Flags().BoolVar(&strict, "strict", false, "fail on warnings too")
	return c
}

func (a *app) configSample() *cobra.Command {
	return &cobra.Command{
		Use:   "sample",
		Short: "Write a configuration file with every option explained",
		Long: `Write a configuration file in which the options for messaging are explained and set to their defaults, as
comments, like oslo-config-generator --namespace oslo.messaging.`,
		Example: `  goslo config sample > project.conf`,
		Args:    arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			var b strings.Builder
			if err := config.Sample(&b, messaging.Options{}); err != nil {
				return err
			}
			if a.json {
				return a.printLine(map[string]string{"sample": b.String()})
			}
			_, err := fmt.Fprint(a.Out, b.String())
			return err
		},
	}
}

// A finding is something that check has to say.
type finding struct {
	At      string `json:"at,omitempty"` // path:line, or a path
	Group   string `json:"group,omitempty"`
	Option  string `json:"option,omitempty"`
	Value   string `json:"value,omitempty"`
	Reason  string `json:"reason"`
	Warning bool   `json:"warning,omitempty"`
}

// checked is what check prints as JSON.
type checked struct {
	OK       bool      `json:"ok"`
	Files    []string  `json:"files"`
	Findings []finding `json:"findings"`
}

func (a *app) check(paths []string, strict bool) error {
	found, err := findings(paths)
	if err != nil {
		return &usageError{cause: err}
	}
	errs, warnings := 0, 0
	for _, f := range found {
		if f.Warning {
			warnings++
		} else {
			errs++
		}
	}
	bad := errs > 0 || strict && warnings > 0
	if a.json {
		err = a.printLine(checked{OK: !bad, Files: paths, Findings: found})
	} else {
		err = a.printFindings(found, errs, warnings)
	}
	if err == nil && bad {
		err = usagef("%s: %s", strings.Join(paths, ", "), count(errs, warnings))
	}
	return err
}

// findings reads the files. The error is one of reading none.
func findings(paths []string) ([]finding, error) {
	s := configSource(paths)
	s.Env = func(string) (string, bool) { return "", false }
	errs, err := config.Check(s, fileOptions{})
	if err != nil {
		return nil, err
	}
	found := make([]finding, 0, len(errs))
	for _, err := range errs {
		found = append(found, describe(err))
	}
	// Declaring nothing, all files that can be read are, whatever is wrong with the options in them.
	conf, err := config.Load(s, struct{}{})
	if err != nil {
		return found, nil //nolint:nilerr // It is among what was found.
	}
	bus := slices.DeleteFunc(busFindings(conf), func(f finding) bool {
		return slices.ContainsFunc(found, func(g finding) bool { return !g.Warning && g.At == f.At && g.Option == f.Option })
	})
	return append(found, bus...), nil
}

// busFindings are what the transport, clients and servers say of the configuration.
func busFindings(options goslo.Options) []finding {
	bus := goslo.Config{Options: options}
	url := finding{Group: config.Default, Option: "transport_url"}
	var err error
	if _, url.At, err = options.Option(url.Group, url.Option); err != nil || url.At == "" {
		bus.URL = "rabbit://" // as oslo.messaging has it
	}
	found := refused(bus.Check(), url)
	_, err = bus.ServerConfig()
	return append(found, refused(err, url)...)
}

// refused are the findings of an error of package goslo; url is what those with the URL begin with.
func refused(err error, url finding) []finding {
	var (
		options *transport.OptionsError
		problem *config.Problem
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &problem):
		return []finding{describe(problem)}
	case !errors.As(err, &options):
		url.Reason = err.Error()
		return []finding{url}
	}
	var found []finding
	for _, p := range options.InFiles {
		found = append(found, finding{At: p.At, Group: p.Group, Option: p.Name, Reason: p.Reason})
	}
	for _, text := range options.Problems {
		url.Reason = text
		found = append(found, url)
	}
	return found
}

// describe takes an error of package config apart.
func describe(err error) finding {
	var (
		problem *config.Problem
		syntax  *config.SyntaxError
	)
	switch {
	case errors.As(err, &problem):
		return finding{problem.Position, problem.Group, problem.Option, problem.Value, problem.Reason, problem.Warning}
	case errors.As(err, &syntax):
		return finding{At: fmt.Sprintf("%s:%d", syntax.Path, syntax.Line), Reason: syntax.Problem}
	}
	return finding{Reason: strings.TrimPrefix(err.Error(), "config: ")}
}

func (f finding) String() string {
	var b strings.Builder
	if f.At != "" {
		b.WriteString(f.At + ": ")
	}
	if f.Warning {
		b.WriteString("warning: ")
	}
	if f.Option != "" {
		b.WriteString("[" + f.Group + "] " + f.Option)
		if f.Value != "" {
			b.WriteString(" = " + strconv.Quote(f.Value))
		}
		b.WriteString(": ")
	}
	b.WriteString(f.Reason)
	return b.String()
}

func (a *app) printFindings(found []finding, errs, warnings int) error {
	var b strings.Builder
	for _, f := range found {
		b.WriteString(f.String() + "\n")
	}
	if errs == 0 {
		b.WriteString("ok: " + count(errs, warnings) + "\n")
	}
	_, err := fmt.Fprint(a.Out, b.String())
	return err
}

func count(errs, warnings int) string {
	plural := func(n int, word string) string {
		if n == 1 {
			return "1 " + word
		}
		return strconv.Itoa(n) + " " + word + "s"
	}
	return plural(errs, "error") + ", " + plural(warnings, "warning")
}
