package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/internal/scaffold"
)

// newFlags are the flags of new.
type newFlags struct {
	project scaffold.Project
	replace string
	dryRun  bool
}

func (a *app) new() *cobra.Command {
	var flags newFlags
	c := &cobra.Command{
		Use:   "new NAME",
		Short: "Write a project: a REST API and a manager behind it, on the bus",
		Long: `Write a project into a folder of its name: a REST API, a manager that does the work, and the contract between them;
configuration with a sample, api-paste.ini and policy.yaml; tests, a Makefile, a Dockerfile, a compose file with RabbitMQ, and units for
systemd. It builds, its tests pass, and it runs with nothing installed but Go:

  cd NAME && go run ./cmd/all

prints a curl line that sends a request through the API, the bus and the manager. The README there says what is where.

NAME has small letters, digits and dashes. The folder must not exist, or be empty: nothing is overwritten. At the end go mod tidy
completes go.mod, for which modules that this machine has not met are fetched.

A goslo that was built from a checkout has the project use that checkout, by a replace in its go.mod; --replace names another one.`,
		Example: `  goslo new shop && cd shop && go run ./cmd/all
  goslo new fleet --module example.com/fleet --topic fleet-manager --resource vehicle
  goslo new shop --dry-run
  cd shop && goslo new method refund_order --call`,
		Args:              arguments(1, 1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			flags.project.Name = args[0]
			return a.newProject(c.Context(), &flags)
		},
	}
	f := c.Flags()
	f.StringVar(&flags.project.Topic, "topic", "", "the topic on which managers listen (default: NAME)")
	f.StringVar(&flags.project.Module, "module", "", "the path of the Go module (default: NAME)")
	f.StringVar(&flags.project.Resource, "resource", "order", "what the API is about, in the singular: order, floating_ip")
	f.StringVar(&flags.replace, "replace", "", "the checkout of goslo to use, by a replace in go.mod (default: the one that this goslo was built from, if it was)")
	f.BoolVar(&flags.dryRun, "dry-run", false, "say what would be written, and write nothing")
	_ = c.MarkFlagDirname("replace") // the flag is there
	for _, name := range []string{"topic", "module", "resource"} {
		_ = c.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	c.AddCommand(a.newMethod())
	return c
}

// A written is what new prints as JSON.
type written struct {
	Folder string   `json:"folder"`
	Files  []string `json:"files"`            // new ones
	Edited []string `json:"edited,omitempty"` // those that were there
	DryRun bool     `json:"dry_run,omitempty"`
	Next   []string `json:"next,omitempty"` // commands to try
}

func (a *app) newProject(ctx context.Context, flags *newFlags) error {
	library, err := scaffold.FindLibrary(flags.replace)
	if err != nil {
		return &usageError{cause: err}
	}
	folder := flags.project.Name
	files, err := flags.project.Files(library)
	if err == nil {
		err = scaffold.Check(folder)
	}
	if err != nil {
		return misused(err)
	}
	w := written{Folder: folder, DryRun: flags.dryRun, Next: []string{"cd " + folder, "go run ./cmd/all", "go test ./..."}}
	for _, f := range files {
		w.Files = append(w.Files, filepath.Join(folder, filepath.FromSlash(f.Path)))
	}
	if flags.dryRun {
		return a.printWritten(w)
	}
	if err := scaffold.Write(folder, files); err != nil {
		return misused(err)
	}
	a.progress("%s is written, %d files; go mod tidy ...", folder, len(files))
	began := time.Now()
	if err := scaffold.Tidy(ctx, folder); err != nil {
		return err
	}
	a.progress("go mod tidy took %s", time.Since(began).Round(100*time.Millisecond))
	inWorkspace, err := scaffold.InWorkspace(ctx, folder)
	if err != nil {
		return err
	}
	if inWorkspace {
		w.Next = slices.Insert(w.Next, 1, "go work use .")
	}
	return a.printWritten(w)
}

// misused makes errors about names and places those of the command line.
func misused(err error) error {
	var (
		name   *scaffold.NameError
		exists *scaffold.ExistsError
		edit   *scaffold.EditError
	)
	if errors.As(err, &name) || errors.As(err, &exists) || errors.As(err, &edit) {
		return &usageError{cause: err}
	}
	return err
}

// progress tells people what takes a while.
func (a *app) progress(format string, args ...any) {
	if !a.json {
		fmt.Fprintf(a.Err, format+"\n", args...)
	}
}

func (a *app) printWritten(w written) error {
	if a.json {
		return a.printLine(w)
	}
	would := ""
	if w.DryRun {
		would = "would "
	}
	for _, path := range w.Files {
		if _, err := fmt.Fprintf(a.Out, "%swrite  %s\n", would, path); err != nil {
			return err
		}
	}
	for _, path := range w.Edited {
		if _, err := fmt.Fprintf(a.Out, "%sedit   %s\n", would, path); err != nil {
			return err
		}
	}
	if w.DryRun || len(w.Next) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(a.Out, "\nNow:"); err != nil {
		return err
	}
	for _, command := range w.Next {
		if _, err := fmt.Fprintln(a.Out, "  "+command); err != nil {
			return err
		}
	}
	return nil
}

// fromHere is a path as seen from the current folder.
func fromHere(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	relative, err := filepath.Rel(here, path)
	if err != nil {
		return path
	}
	return relative
}

func (a *app) newMethod() *cobra.Command {
	var m scaffold.Method
	var call, dryRun bool
	c := &cobra.Command{
		Use:   "method NAME",
		Short: "Add a method to the project: contract, API, manager and tests",
		Long: `Add a method to the project around the current folder: to its contract, whose version rises, to its API, as an action
with a policy rule (POST /v1/PROJECT/orders/ID/action), and to its manager, with tests. A call, the default, has a result that the API answers with; a cast is work that
nobody waits for: the API answers 202 at once.

The project is one that goslo new wrote. What was changed there so that the place for an insertion cannot be found is left alone, with
an error that says what to add by hand; then nothing is written at all.`,
		Example: `  goslo new method refund_order
  goslo new method ship_order --cast --dry-run`,
		Args:              arguments(1, 1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(_ *cobra.Command, args []string) error {
			if m.Cast && call {
				return usagef("a method is one of --call and --cast")
			}
			m.Name = args[0]
			changes, err := m.Plan(".")
			if err != nil {
				return misused(err)
			}
			w := written{Folder: changes.Root, DryRun: dryRun, Next: []string{"go test ./..."}}
			for _, c := range changes.Files {
				if c.Edited {
					w.Edited = append(w.Edited, fromHere(c.Path))
				} else {
					w.Files = append(w.Files, fromHere(c.Path))
				}
			}
			if !dryRun {
				if err := changes.Write(); err != nil {
					return misused(err)
				}
			}
			return a.printWritten(w)
		},
	}
	c.Flags().StringVar(&m.Resource, "resource", "", "the resource that gets an action for it, as in the API's paths: orders (default: the only one)")
	c.Flags().BoolVar(&m.Cast, "cast", false, "nobody waits for it")
	c.Flags().BoolVar(&call, "call", false, "it has a result (the default)")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be written, and write nothing")
	return c
}
