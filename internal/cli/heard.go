package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goslo/goslo/internal/mask"
	"github.com/goslo/goslo/notify"
)

// A hearer prints what a listener with one worker hears, so that its methods are never run at a time.
type hearer struct {
	app   *app
	count int    // when to stop; 0 = never
	stop  func() // ends the listener
	ours  bool   // nobody else is to have what is not printed

	heard int
	begun bool  // a notification that was not printed yet
	err   error // of printing
}

// errEnough gives back what came after the last that was asked for.
var errEnough = errors.New("not printed: as many were printed as were asked for")

// handlers are one for each filter, behind one that has each notification printed once, whatever the number of filters that it passes.
func (h *hearer) handlers(w wish) []notify.Handler {
	begin := notify.Handle(func(context.Context, notify.Raw) error {
		h.begun = true
		return nil
	})
	all := []notify.Handler{begin.On(w.priorities...)}
	show := notify.Handle(h.show).On(w.priorities...)
	for _, f := range w.filters {
		all = append(all, show.Where(f))
	}
	if len(w.filters) == 0 {
		all = append(all, show)
	}
	return all
}

func (h *hearer) show(_ context.Context, n notify.Raw) error {
	switch {
	case !h.begun:
		return nil
	case (h.err != nil || h.count > 0 && h.heard == h.count) && h.ours:
		return nil
	case h.err != nil || h.count > 0 && h.heard == h.count:
		return errEnough
	}
	h.begun = false
	if h.err = h.app.printNotification(&n); h.err != nil {
		h.stop()
		return h.err
	}
	if h.heard++; h.heard == h.count {
		h.stop()
	}
	return nil
}

// heard is a notification in JSON, by oslo.messaging's names, but for its payload.
type heard struct {
	Topic       string          `json:"topic"`
	ID          string          `json:"message_id"`
	Publisher   string          `json:"publisher_id"`
	Event       string          `json:"event_type"`
	Priority    string          `json:"priority"`
	Timestamp   string          `json:"timestamp"`
	Redelivered bool            `json:"redelivered"`
	Context     json.RawMessage `json:"context"`
}

// mostShown is the most characters of a payload that are shown to people.
const mostShown = 400

func (a *app) printNotification(n *notify.Raw) error {
	context, payload := oneLine(mask.JSON(n.Context.JSON())), oneLine(mask.JSON(n.Payload))
	if !a.json {
		at := "-"
		if !n.Time.IsZero() {
			at = n.Time.Local().Format(clock)
		}
		_, err := fmt.Fprintf(a.Out, "%-12s  %-8s  %-40s  %-24s  %s\n    %s\n", at, plain(string(n.Priority)), plain(cut(orDash(n.Type))),
			plain(cut(orDash(n.Publisher))), plain(cut(orDash(n.Context.RequestID()))), plain(cut(string(payload))))
		return err
	}
	// What Python calls JSON and nobody else is left as it is, which json.Marshal would refuse.
	line, err := json.Marshal(heard{
		Topic: n.Topic, ID: n.ID, Publisher: n.Publisher, Event: n.Type, Priority: strings.ToUpper(string(n.Priority)),
		Timestamp: n.Timestamp, Redelivered: n.Redelivered, Context: json.RawMessage("{}"),
	})
	if err != nil {
		return err
	}
	line = append(bytes.TrimSuffix(line, []byte(`{}}`)), context...)
	line = append(append(append(line, `,"payload":`...), payload...), '}', '\n')
	_, err = a.Out.Write(line)
	return err
}

// oneLine is JSON without its line breaks, which are none of its strings'. What is JSON but for Python, or for its control characters, has blanks for those.
func oneLine(raw json.RawMessage) []byte {
	var b bytes.Buffer
	if json.Compact(&b, raw) == nil {
		return b.Bytes()
	}
	return bytes.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, raw)
}

// cut is what is shown of a text.
func cut(text string) string {
	if utf8.RuneCountInString(text) <= mostShown {
		return text
	}
	return string([]rune(text)[:mostShown]) + " ... (" + strconv.Itoa(len(text)) + " bytes; --json shows all)"
}

// plain is text with characters escaped that are none to be seen, which could play tricks with a terminal.
func plain(text string) string {
	if !strings.ContainsFunc(text, hidden) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if hidden(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func hidden(r rune) bool { return !unicode.IsPrint(r) }
