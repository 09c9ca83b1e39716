package rabbit

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
)

// maxDifferences bounds how many properties of one exchange or queue are found out: each costs a channel,
// which the broker closes on a declaration that differs.
const maxDifferences = 6

// A form is what a declaration says of an exchange or queue, its name apart.
type form struct {
	kind                string // of an exchange
	durable, autoDelete bool
	args                amqp.Table
}

// An adoption is a declaration that may meet what a peer has declared otherwise.
type adoption struct {
	what    string // "queue stock"
	fanout  bool   // it is the exchange of a fanout
	wanted  form
	declare func(*amqp.Channel, form) error
	passive func(*amqp.Channel) error
	remove  func(*amqp.Channel) error // of a queue that is ours alone: it follows our settings; nil for what peers share
}

// A difference is one property, as the broker tells it.
type difference struct{ property, ours, theirs string }

// take declares, and takes what a peer has declared otherwise as it is, reported once. Upstream declares
// again without durable, and gives up on other differences (RMQ-TOPO-24, 25). It returns the form in which
// the exchange or queue exists, as far as that can be told.
func (d *declarer) take(su *setup, a adoption) (form, error) {
	if known, ok := d.adopted.Load(a.what); ok {
		err := su.try(a.passive)
		if !missing(err) {
			return known.(form), err
		}
		d.adopted.Delete(a.what)
	}
	declare := func(f form) error {
		return su.try(func(ch *amqp.Channel) error { return a.declare(ch, f) })
	}
	err := declare(a.wanted)
	if _, ok := differs(err); !ok {
		return a.wanted, err
	}
	if a.remove != nil {
		if su.try(a.remove) == nil {
			return a.wanted, declare(a.wanted)
		}
	}
	// The broker names one property at a time.
	has, found := a.wanted, []difference{}
	for len(found) < maxDifferences {
		diff, ok := differs(err)
		if !ok {
			break
		}
		found = append(found, diff)
		if has, ok = has.with(diff); !ok {
			break
		}
		err = declare(has)
	}
	if err != nil {
		err = su.try(a.passive)
	}
	if err != nil {
		return form{}, fmt.Errorf("it exists, and differs (%s): %w", describe(found), err)
	}
	d.adopted.Store(a.what, has)
	if _, again := d.told.LoadOrStore(a.what+describe(found), true); !again {
		d.log.Warn("taking what a peer declared otherwise", "what", a.what, "differs", describe(found), "change", a.change(found))
	}
	return has, nil
}

// try runs f on a live setup channel.
func (su *setup) try(f func(*amqp.Channel) error) error {
	ch, err := su.channel()
	if err != nil {
		return err
	}
	return f(ch)
}

// differs finds in the broker's answer that it has an exchange or queue of this name with other properties,
// and which. There are other preconditions, such as a limit on the number of queues.
func differs(err error) (difference, bool) {
	var e *amqp.Error
	if !errors.As(err, &e) || e.Code != amqp.PreconditionFailed {
		return difference{}, false
	}
	_, rest, ok := strings.Cut(e.Reason, "inequivalent arg '")
	if !ok {
		return difference{}, false
	}
	property, rest, _ := strings.Cut(rest, "'")
	rest = rest[strings.LastIndex(rest, ": received ")+1:]
	ours, theirs, _ := strings.Cut(strings.TrimPrefix(rest, " received "), " but current is ")
	return difference{property, value(ours), value(theirs)}, true
}

// value is V of the broker's 'V', or its whole "the value 'V' of type 'T'", or "none".
func value(text string) string {
	if inner, ok := strings.CutPrefix(text, "'"); ok {
		return strings.TrimSuffix(inner, "'")
	}
	return text
}

// typed splits "the value 'V' of type 'T'".
func typed(text string) (v, kind string, ok bool) {
	text, ok = strings.CutPrefix(text, "the value '")
	if !ok {
		return "", "", false
	}
	i := strings.LastIndex(text, "' of type '")
	if i < 0 {
		return "", "", false
	}
	return text[:i], strings.TrimSuffix(text[i+len("' of type '"):], "'"), true
}

// plain is the value alone.
func plain(text string) string {
	if v, _, ok := typed(text); ok {
		return v
	}
	return text
}

// with returns the form with the peer's value instead of ours, and whether that could be told.
func (f form) with(d difference) (form, bool) {
	switch d.property {
	case "type":
		f.kind = d.theirs
		return f, true
	case "durable", "auto_delete":
		on, err := strconv.ParseBool(d.theirs)
		if err != nil {
			return f, false
		}
		if d.property == "durable" {
			f.durable = on
		} else {
			f.autoDelete = on
		}
		return f, true
	}
	args := maps.Clone(f.args)
	if args == nil {
		args = amqp.Table{}
	}
	f.args = args
	if d.theirs == "none" {
		delete(args, d.property)
		return f, true
	}
	v, kind, ok := typed(d.theirs)
	if !ok {
		// Both sides have it, of the same kind of type.
		v, kind = d.theirs, "longstr"
		if _, text := args[d.property].(string); !text {
			kind = "signedint"
		}
	}
	switch kind {
	case "longstr":
		args[d.property] = v
		return f, true
	case "byte", "short", "signedint", "long", "unsignedbyte", "unsignedshort", "unsignedint":
		n, err := strconv.ParseInt(v, 10, 64)
		args[d.property] = n // all integers are one type when the broker compares
		return f, err == nil
	case "bool":
		on, err := strconv.ParseBool(v)
		args[d.property] = on
		return f, err == nil
	}
	return f, false
}

// describe is for people: "durable is true, not false; x-queue-type is quorum, not none".
func describe(found []difference) string {
	texts := make([]string, len(found))
	for i, d := range found {
		texts[i] = fmt.Sprintf("%s is %s, not %s", d.property, plain(d.theirs), plain(d.ours))
	}
	return strings.Join(texts, "; ")
}

// change names the options that would make our declaration the same.
func (a adoption) change(found []difference) string {
	var options []string
	quorum := slices.ContainsFunc(found, func(d difference) bool { return d.property == "x-queue-type" })
	for _, d := range found {
		theirs := plain(d.theirs)
		switch {
		case d.property == "durable" && a.fanout:
			options = append(options, "rabbit_transient_quorum_queue="+theirs)
		case d.property == "durable" && quorum:
			// The type of the queue brings its durability with it.
		case d.property == "durable" && theirs == "false":
			options = append(options, "amqp_durable_queues=false and rabbit_quorum_queue=false")
		case d.property == "durable":
			options = append(options, "amqp_durable_queues=true (or rabbit_quorum_queue=true)")
		case d.property == "auto_delete" && !a.fanout:
			options = append(options, "amqp_auto_delete="+theirs)
		case d.property == "x-queue-type":
			options = append(options, "rabbit_quorum_queue="+strconv.FormatBool(theirs == amqp.QueueTypeQuorum))
		case d.property == limitArgument:
			options = append(options, "rabbit_quorum_delivery_limit="+limit(theirs))
		case d.property == "x-max-in-memory-length":
			options = append(options, "rabbit_quorum_max_memory_length="+limit(theirs))
		case d.property == "x-max-in-memory-bytes":
			options = append(options, "rabbit_quorum_max_memory_bytes="+limit(theirs))
		}
	}
	if len(options) == 0 {
		return "no option of this service gives that; change the peer that declared it"
	}
	return strings.Join(options, ", ") + " in this service, or the opposite in the peer that declared it"
}

// limit is an option's value for an argument that may be absent.
func limit(text string) string {
	if text == "none" {
		return "0"
	}
	return text
}

// missing says that the broker has nothing of this name.
func missing(err error) bool {
	var e *amqp.Error
	return errors.As(err, &e) && e.Code == amqp.NotFound
}
