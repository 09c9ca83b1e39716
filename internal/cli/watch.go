package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/term"
)

// clear empties a terminal, from the top.
const clear = "\x1b[H\x1b[2J"

// terminal is standard output where that is a terminal; else nil.
func (a *app) terminal() *os.File {
	file, ok := a.Out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return nil
	}
	return file
}

// watching does a round, and again so often, until ctx ends; that is no error then, and neither is what a round could not do: it is printed, and
// the next may. A period of 0 is one round. What the last round found is what the command has found.
func (a *app) watching(ctx context.Context, every time.Duration, round func(context.Context) error) error {
	var last error
	for {
		err := round(ctx)
		if every == 0 {
			return err
		}
		if ctx.Err() != nil {
			return last
		}
		last = nil
		switch {
		case errors.Is(err, errFound):
			last = err
		case err != nil:
			var file *fs.PathError
			if errors.As(err, &file) && file.Op == "write" {
				return err // nobody would see the next
			}
			f := a.explain(ctx, err)
			if f.Code == codeUsage {
				return err
			}
			a.printFailure(f)
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return last
		}
	}
}
