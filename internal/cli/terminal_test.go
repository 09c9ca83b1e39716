package cli

import (
	"bytes"
	"testing"
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
