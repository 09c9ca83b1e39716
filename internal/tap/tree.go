package tap

import (
	"slices"
	"time"
)

// A Node is a request with those that were sent while it was handled, by the process that handled it.
type Node struct {
	*Span
	Children []*Node
}

// Tree nests spans of one request id. same says whether two connections are of one process. A request is the child of the one that its sender was
// handling when it was sent; of several, of the one that was taken last. When a cast ends is not known, so that it counts as handled ever after.
func Tree(spans []*Span, same func(a, b string) bool) []*Node {
	nodes := make([]*Node, len(spans))
	for i, s := range spans {
		nodes[i] = &Node{Span: s}
	}
	slices.SortStableFunc(nodes, func(a, b *Node) int { return a.Time.Compare(b.Time) })
	var roots []*Node
	for _, n := range nodes {
		var parent *Node
		var since time.Time
		for _, p := range nodes {
			if at, ok := p.handledBy(n.Caller, n.Time, same); ok && p != n && (parent == nil || at.After(since)) {
				parent, since = p, at
			}
		}
		if parent == nil {
			roots = append(roots, n)
			continue
		}
		parent.Children = append(parent.Children, n)
	}
	return roots
}

// handledBy says since when the process of a connection was handling the request at a time, if it was.
func (s *Span) handledBy(connection string, at time.Time, same func(a, b string) bool) (since time.Time, ok bool) {
	for _, t := range s.Taken {
		if same(t.By, connection) && !t.Time.After(at) && (s.Reply == nil || !s.Reply.Time.Before(at)) && t.Time.After(since) {
			since, ok = t.Time, true
		}
	}
	return since, ok
}
