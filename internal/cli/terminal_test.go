package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/goslo/goslo/internal/doctor"
	"github.com/goslo/goslo/internal/operator"
	"github.com/goslo/goslo/internal/probe"
	"github.com/goslo/goslo/internal/quorum"
)

func TestTextIsBrokenBetweenWordsToFitTheScreen(t *testing.T) {
	t.Parallel()
	s := screen{width: 16}
	for text, want := range map[string]string{
		"":                          "",
		"short":                     "short",
		"one two three four":        "one two\n    three four",
		"a_word_that_is_too_long x": "a_word_that_is_too_long\n    x",
		"größe größer  am größten":  "größe größer\n    am größten",
	} {
		if got := s.wrap(text, 4); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// TestNamesPlayNoTricksWithTheTerminal is about names that others choose, as of queues.
func TestNamesPlayNoTricksWithTheTerminal(t *testing.T) {
	t.Parallel()
	const name = "evil\x1b[31m\a\t"
	var asked bytes.Buffer
	(&roll{Servers: []rollCall{{Server: name, State: probe.NoConsumer}}}).write(&asked, screen{width: 80})
	for _, text := range []string{
		asked.String(), screen{width: 80}.wrap(name, 0), screen{width: 80}.items([]quorum.Item{{Text: name, Command: name}}),
		screen{width: 80}.finding(doctor.Finding{Subject: name, Text: name}), topTopic{Load: operator.Load{Topic: name}}.line(screen{width: 80}, 40, nil),
	} {
		if strings.ContainsAny(text, "\x1b\a\t") || !strings.Contains(text, `evil\u001b[31m\u0007`) {
			t.Errorf("%q", text)
		}
	}
}

func TestOnlyTerminalsGetColours(t *testing.T) {
	t.Parallel()
	a := &app{Streams: Streams{Out: &bytes.Buffer{}}, lookup: func(string) (string, bool) { return "", false }}
	if s := a.screen(); s.colour || s.width != noTerminal {
		t.Errorf("%+v: want no colour, and the width of what is no terminal", s)
	}
	if got := (screen{}).paint(red, "x"); got != "x" {
		t.Errorf("painted without colours: %q", got)
	}
	if got := (screen{colour: true}).paint(red, "x"); got != "\x1b[31mx\x1b[0m" {
		t.Errorf("painted: %q", got)
	}
}

// TestNobodyElseWritesToTheTerminal is about names, which whoever may declare a queue, or open a connection, chooses.
func TestNobodyElseWritesToTheTerminal(t *testing.T) {
	t.Parallel()
	const evil = "q\x1b[2J\t\nz"
	table := newTable("QUEUE", "OWNER")
	table.row(evil, evil)
	v := &operator.View{Vhost: evil, Full: true}
	q := &operator.Queue{Name: evil, Kind: operator.KindServer, Topic: evil, Server: evil, Readers: []operator.Reader{{Owner: operator.Owner{Name: evil, Client: evil}}}}
	l := listed{Vhost: evil, Others: []string{evil}}
	request := tailed{
		Method: evil, Target: tailedTarget{Topic: evil}, RequestID: evil, Project: evil, User: evil, Caller: evil,
		Outcome: &outcome{State: stateFailed, Failure: evil, Servers: []string{evil}},
	}
	var out, err bytes.Buffer
	a := &app{Streams: Streams{Out: &out, Err: &err}}
	a.note(evil)
	a.printUnseen([]string{evil})
	a.printFailure(failure{Message: "no queue \x1b[2J"})
	if err := (followed{RequestID: evil, Requests: []branch{{tailed: request}}}).print(a); err != nil { //nolint:forbidigo // It is a method of ours.
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"a table": table.text(screen{}), "wrapped": screen{width: 16}.wrap(evil, 0), "ls": l.text(v, screen{}), "who": own(v, q).text(v, screen{width: 80}),
		"tail": request.line(screen{}), "trace": out.String(), "standard error": err.String(),
		"describe": (&description{Topic: evil, Exchange: exchange{Name: evil, Durable: new(bool)}, Queues: []*operator.Queue{q}}).text(v, screen{width: 80}),
	} {
		if strings.ContainsAny(text, "\x1b\t") || !strings.Contains(text, `\u001b[2J`) {
			t.Errorf("%s: %q", what, text)
		}
	}
}

// TestTablesFitTheTerminal is about cells that are wider than there is room.
func TestTablesFitTheTerminal(t *testing.T) {
	t.Parallel()
	table := newTable("QUEUE", "N", "OWNER")
	table.row("größe-of-a-name-that-is-long", "1", "program:123 @ 10.0.0.1")
	table.row("q", "12")
	const want = "QUEUE                     N   OWNER\ngröße-of-a-name-that-i..  1   progra..\nq                         12\n"
	if got := table.text(screen{width: 38, terminal: true}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := table.text(screen{width: 42}); !strings.Contains(got, "größe-of-a-name-that-is-long  1   program:123 @ 10.0.0.1\n") {
		t.Errorf("cut where nobody looks at it on a terminal:\n%s", got)
	}
}
