package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/internal/tap"
)

const seenHelp = `--methods D listens in for so long, as goslo tail does, and adds which methods were asked for, in which version: the broker
does not know them. It is the one flag that declares something, a queue that goes with this program.`

// seenFlags are lsFlags with --methods.
type seenFlags struct {
	lsFlags
	methods seconds
}

func (f *seenFlags) add(c *cobra.Command) {
	f.lsFlags.add(c)
	c.Flags().Var(&f.methods, "methods", "listen so long, and add which methods are asked for")
	c.Flags().Lookup("methods").DefValue = ""
}

// A seenMethod is one that was asked for while goslo listened.
type seenMethod struct {
	Topic     string   `json:"topic"`
	Namespace string   `json:"namespace,omitempty"`
	Method    string   `json:"method"`
	Version   string   `json:"version,omitempty"`
	Kind      tap.Kind `json:"kind"`
	Count     int      `json:"count"`
}

// A seen is what passed by. The zero value is nothing, of not having listened.
type seen struct {
	methods []seenMethod
	within  time.Duration
	unseen  []string
}

// listenFor hears which methods of topics are asked for; of all topics without any.
func (a *app) listenFor(ctx context.Context, flags seenFlags, topics []string) (seen, error) {
	s := seen{methods: []seenMethod{}, within: time.Duration(flags.methods)}
	switch {
	case flags.methods == 0:
		return seen{}, nil
	case flags.watch != 0:
		return seen{}, usagef("--methods listens once, and --watch looks again and again; goslo tail and goslo top show both")
	}
	count := make(map[seenMethod]int)
	err := a.tapInto(ctx, listenTo{lookAt: flags.lookAt, limit: flags.methods}, topics, func(ctx context.Context, e *ear) error {
		s.unseen = e.unseen
		a.note("listening for " + s.within.String())
		for {
			m, err := e.tap.Next(ctx)
			if err != nil {
				return err
			}
			if r, ok := e.tap.Request(m); ok {
				count[seenMethod{Topic: r.Target.Topic, Namespace: r.Method.Namespace, Method: r.Method.Name, Version: r.Method.Version, Kind: r.Kind}]++
			}
		}
	})
	if err != nil && !errors.Is(err, tap.ErrNoRoutes) {
		return seen{}, err
	}
	for m := range maps.Keys(count) {
		m.Count = count[m]
		s.methods = append(s.methods, m)
	}
	slices.SortFunc(s.methods, func(a, b seenMethod) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), strings.Compare(a.name(), b.name()), strings.Compare(a.Version, b.Version), strings.Compare(string(a.Kind), string(b.Kind)))
	})
	return s, nil
}

func (m seenMethod) name() string { return tap.Method{Namespace: m.Namespace, Name: m.Method}.String() }

// text is a table; "" = nobody listened.
func (s seen) text(on screen) string {
	switch {
	case s.within == 0:
		return ""
	case len(s.methods) == 0:
		return fmt.Sprintf("nothing was asked for in %s\n", s.within)
	}
	t := newTable("SEEN IN "+s.within.String(), "METHOD", "VERSION", "KIND", "COUNT")
	for _, m := range s.methods {
		t.row(m.Topic, m.name(), m.Version, string(m.Kind), strconv.Itoa(m.Count))
	}
	return t.text(on)
}
