package transporttest

import (
	"errors"
	"slices"
	"strings"

	"github.com/goslo/goslo/transport"
)

func names() []Case {
	return []Case{
		{Name: "OddNames", Why: "topics and servers may have any name: dots, blanks, wildcards, slashes, unicode, 200 bytes; each is a name of its own", run: func(f *fixture) {
			f.keptApart([]string{
				"x", "X", "x.y", "x..y", ".x", "x.", "x y", " x", "x*", "x>", "x#", "*x", "x/y", "/x", "x\\y", "x:y", "x%2Ey", "x%", "x_", "x-", "x,y", "x&y=z", "x?", "$x", "x\ty", "ü", "日本", "😀",
				strings.Repeat("n", 200-len(f.topic)), strings.Repeat("n", 199-len(f.topic)) + "m",
			})
		}},
		{Name: "LiteralNames", Why: "dots do not join topic and server, and words that are wildcards on some bus are plain", needs: LiteralNames, skippable: true, run: func(f *fixture) {
			f.keptApart([]string{".*", ".#", ".>", ".x", ".x.y", ".*.y"})
			client, base := f.open(), f.topic
			f.topic = base + ".a"
			short := f.listen(client, f.to("b.c"), 0)
			f.topic = base + ".a.b"
			long := f.listen(client, f.to("c"), 0)
			f.send(client, f.to("c"), cast("long"))
			f.topic = base + ".a"
			f.send(client, f.to("b.c"), cast("short"))
			f.send(client, f.to(""), cast("topic"))
			got := f.gather(3, short, long)
			f.same("server b.c of topic a", got[0], []string{"short", "topic"})
			f.same("server c of topic a.b", got[1], []string{"long"})
		}},
	}
}

// keptApart proves that topics which differ in their end alone are different, and servers likewise.
func (f *fixture) keptApart(ends []string) {
	f.Helper()
	client, base := f.open(), f.topic
	var topics, servers []transport.Listener
	for _, end := range ends {
		topics = append(topics, f.listen(client, transport.Address{Kind: transport.Topic, Topic: base + end, Server: "one"}, 4))
		servers = append(servers, f.listen(client, transport.Address{Kind: transport.Topic, Topic: base, Server: "s-" + base + end}, 4))
	}
	for _, end := range ends {
		f.send(client, transport.Address{Kind: transport.Topic, Topic: base + end}, cast("topic "+end))
		f.send(client, transport.Address{Kind: transport.Topic, Topic: base + end, Server: "one"}, cast("server of "+end))
		f.send(client, transport.Address{Kind: transport.Fanout, Topic: base + end}, cast("fanout "+end))
		f.send(client, transport.Address{Kind: transport.Topic, Topic: base, Server: "s-" + base + end}, cast("server "+end))
	}
	got := f.gather(4*len(ends), slices.Concat(topics, servers)...)
	for i, end := range ends {
		f.same("topic "+end, got[i], []string{"topic " + end, "server of " + end, "fanout " + end})
		f.same("server "+end, got[len(ends)+i], []string{"server " + end})
	}
	if f.lacks(Absence) {
		return
	}
	if err := client.Send(f.patient(), transport.Address{Kind: transport.Topic, Topic: base + "other"}, cast("lost")); !errors.Is(err, transport.ErrNoListener) {
		f.Errorf("send to a topic that nobody listens at: %v, want ErrNoListener", err)
	}
}
