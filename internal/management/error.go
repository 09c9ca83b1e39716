package management

import (
	"errors"
	"fmt"
	"strings"
)

// A Problem is a kind of failure, by what is to be done about it.
type Problem int

// The kinds of failures.
const (
	Refused       Problem = iota // the broker would not, for reasons of its own
	Unreachable                  // nothing answers there
	BadTLS                       // TLS could not be agreed on
	NotManagement                // something else answers there
	Unauthorized                 // user or password are wrong
	Forbidden                    // the user lacks a tag
	NoVhost                      // the virtual host is not there, or not for this user
	NotFound                     // what was asked about is not there
)

var problems = [...]string{"refused", "unreachable", "tls", "not-management", "unauthorized", "forbidden", "no-vhost", "not-found"}

// String is the kind in a word.
func (p Problem) String() string { return problems[p] }

// An Error is a request that failed: what was asked, of whom, why, and what to do. It holds no password.
type Error struct {
	Method, URL string // the URL without query and credentials
	Problem     Problem
	Status      int    // of HTTP; 0 = no answer
	Detail      string // the broker's words, or the network's
	Username    string // who asked
	Vhost       string // the client's
}

// Error is all of it in one line.
func (e *Error) Error() string {
	text := fmt.Sprintf("management: %s %s: %s", strings.ToLower(e.Method), e.URL, e.what())
	if advice := e.Advice(); advice != "" {
		text += "; " + advice
	}
	return text
}

func (e *Error) what() string {
	if e.Status == 0 {
		return e.Detail
	}
	return fmt.Sprintf("%s (%d)", e.Detail, e.Status)
}

// Advice says what to do; "" when there is nothing to say.
func (e *Error) Advice() string {
	switch e.Problem {
	case Unreachable:
		return "enable the plugin on the broker with `rabbitmq-plugins enable rabbitmq_management`, or say where it listens with --management http://host:15672"
	case BadTLS:
		return "give the authority of its certificate in ssl_ca_file, and with --management the host name that it is made out to"
	case NotManagement:
		return "what answers there is not RabbitMQ's management API; say where that is with --management http://host:15672, or https://host:15671"
	case Unauthorized:
		return fmt.Sprintf("check the password of user %q, or name another with --management http://user:password@host:15672", e.Username)
	case Forbidden:
		return fmt.Sprintf("user %q needs a tag: `rabbitmqctl set_user_tags %s monitoring` (administrator, for what changes the broker), or name another user with --management http://user:password@host:15672", e.Username, e.Username)
	case NoVhost:
		return fmt.Sprintf("virtual host %q is not there for user %q; see `rabbitmqctl list_vhosts` and `rabbitmqctl list_permissions -p %s`", e.Vhost, e.Username, e.Vhost)
	case Refused, NotFound:
	}
	return ""
}

// Is says whether err is an [Error] of this kind.
func Is(err error, p Problem) bool {
	var e *Error
	return errors.As(err, &e) && e.Problem == p
}
