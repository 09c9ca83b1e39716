package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/internal/flow"
)

func (a *app) flow() *cobra.Command {
	var route, method string
	c := &cobra.Command{
		Use:   "flow [PACKAGE...]",
		Short: "Show which way requests take through a project, with file and line",
		Long: `Read the Go source of a project that uses goslo, and show for each REST route which functions it runs, which methods of
contracts these call or cast, which manager methods serve them, and what those call and cast in turn; each with its
file and line, relative to the working folder. Periodic tasks, and what is called from nowhere of these, follow. Nothing is
run, and no bus is connected to.

PACKAGE is a pattern as in go build; without one it is ./... . What packages import of their own module is read too.

A tree shows in its columns the step, its place in the source, and for a message the place of its contract and how it
goes. "?" is what is made at run time. At the end stand the methods that are called with no handler in these packages
(one in Python, say), and those that are neither called nor handled.

With --json the result is one object: "packages", a number; "roots", each with "kind" (route, task, handler, function or
message), "name", "at" (file:line), "sent" of a message ("mode", "method", "contract", "contract_at", "exchange", "topic",
"namespace", "version", "server", "pin"), "serves" of a handler that is a root, "note" where something might follow and does
not, and "steps", the same again; and "methods", with "called" and "handled".

The exit code is 0, or 1 when the packages cannot be loaded or do not compile, or 2 when the command line is wrong: there is no such
route or method.`,
		Example: `  goslo flow
  goslo flow ./examples/... --route 'POST /v1/servers/{id}/action'
  goslo flow --method live_migration
  goslo flow --json | jq -r '.methods[] | select(.handled | not) | .contract_at'`,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(c *cobra.Command, patterns []string) error {
			if len(patterns) > 0 && slices.Contains(httpMethods, patterns[0]) {
				return usagef("%s is no package; a route is named with --route '%s /...'", patterns[0], patterns[0])
			}
			f, err := a.analyze(c.Context(), patterns, route, method)
			switch {
			case err != nil:
				return err
			case a.json:
				return a.printLine(f)
			}
			return f.Print(a.Out)
		},
	}
	c.Flags().StringVar(&route, "route", "", "only this route: 'POST /v1/servers', or a path; 'POST /v1/servers/{id}/action os-stop'")
	c.Flags().StringVar(&method, "method", "", "only what leads to this method: its name on the wire, or the contract's variable")
	// The flags are those above, so that these cannot fail.
	_ = c.RegisterFlagCompletionFunc("route", a.completeFlow((*flow.Flow).RouteNames))
	_ = c.RegisterFlagCompletionFunc("method", a.completeFlow((*flow.Flow).MethodNames))
	return c
}

var httpMethods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
}

func (a *app) analyze(ctx context.Context, patterns []string, route, method string) (*flow.Flow, error) {
	for _, p := range patterns {
		if strings.Contains(p, " /") {
			return nil, &usageError{cause: fmt.Errorf("%q is a route, not a package: --route %q", p, p)}
		}
	}
	done := a.whenSlow("reading the packages; the first time this includes compiling what they import")
	f, err := flow.Analyze(ctx, flow.Config{Patterns: patterns})
	done()
	if err == nil && route != "" {
		f, err = f.OfRoute(route)
	}
	if err == nil && method != "" {
		f, err = f.OfMethod(method)
	}
	var none *flow.NoMatchError
	if errors.As(err, &none) {
		return nil, &usageError{cause: err}
	}
	return f, err
}

// completeFlow completes a flag with names out of the packages on the command line.
func (a *app) completeFlow(names func(*flow.Flow) []string) cobra.CompletionFunc {
	return func(c *cobra.Command, patterns []string, _ string) ([]string, cobra.ShellCompDirective) {
		f, err := flow.Analyze(c.Context(), flow.Config{Patterns: patterns})
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return names(f), cobra.ShellCompDirectiveNoFileComp
	}
}
