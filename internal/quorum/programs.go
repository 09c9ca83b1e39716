package quorum

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goslo/goslo/internal/operator"
)

// A program is what has to be stopped and started, by its name, with the addresses that it runs at.
type program struct {
	name      string
	hosts     []string
	processes int
	moved     bool // it reads queues, and all of them are quorum queues
	owners    []operator.Owner
}

// String is the program, and where it runs.
func (p *program) String() string {
	what := "process"
	if p.processes > 1 {
		what = "processes"
	}
	return fmt.Sprintf("%s on %s (%d %s)", p.name, strings.Join(p.hosts, ", "), p.processes, what)
}

// systemctl is how its service is started or stopped where it is called as the program is, as on Debian; "" where the program has no name.
func (p *program) systemctl(verb string) string {
	if p.owners[0].Program == "" {
		return ""
	}
	return "systemctl " + verb + " " + quote(p.name)
}

// tools are programs that are not services.
var tools = []string{"goslo"}

// programs are all that are connected, those that read queues of topics first, as others call them.
func (p *planner) programs() []*program {
	byName := make(map[string]*program)
	var names []string
	for _, c := range p.View.Connections {
		o := operator.OwnerOf(c)
		name := o.Program
		if name == "" {
			name = "unnamed"
			if o.Client != "" {
				name += " (" + o.Client + ")"
			}
		}
		if slices.Contains(tools, name) {
			continue
		}
		if byName[name] == nil {
			byName[name] = &program{name: name}
			names = append(names, name)
		}
		byName[name].add(o)
	}
	servers := make(map[string]bool)
	for i := range p.View.Queues {
		q := &p.View.Queues[i]
		if !q.Shared() || q.Kind == operator.KindOther {
			continue
		}
		for _, r := range q.Readers {
			it := byName[r.Owner.Program]
			if it == nil {
				continue
			}
			it.moved = isQuorum(q) && (it.moved || !servers[it.name])
			servers[it.name] = true
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if servers[a] != servers[b] {
			return map[bool]int{true: -1, false: 1}[servers[a]]
		}
		return strings.Compare(a, b)
	})
	all := make([]*program, len(names))
	for i, name := range names {
		slices.Sort(byName[name].hosts)
		all[i] = byName[name]
	}
	return all
}

func (p *program) add(o operator.Owner) {
	if !slices.Contains(p.hosts, o.Host) {
		p.hosts = append(p.hosts, o.Host)
	}
	if !slices.ContainsFunc(p.owners, o.SameProcess) {
		p.owners = append(p.owners, o)
		p.processes++
	}
}
