package policy

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Credentials are what is known of the caller: user_id, project_id, roles, is_admin, system_scope and so on, by their
// names in oslo.context's policy values. Members may be maps again.
type Credentials map[string]any

// A Target is what an operation is about: project_id, user_id and so on of the object, under the names that rules use.
// The names are flat: %(user.id)s is the member "user.id".
type Target map[string]any

// An Enforcer answers whether rules allow something. Its methods are safe for concurrent use.
type Enforcer struct {
	config Config
	rules  atomic.Pointer[rules]
	looked atomic.Int64  // when files were last looked at, in Unix nanoseconds
	turn   chan struct{} // of capacity one: holds a token while somebody reads the files
	seen   []stamp       // of the files when they were last read; of the holder of the turn
	missed bool          // one of them was not there at the last look; of the holder of the turn
}

// lookEvery is how long changes of files may go unnoticed.
const lookEvery = time.Second

// Load reads the rules. It returns an error that names all rules which cannot be used, with file and line.
func Load(c Config) (*Enforcer, error) {
	if c.DefaultRule == "" {
		c.DefaultRule = "default"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Defaults = slices.Clone(c.Defaults)
	c.Dirs = slices.Clone(c.Dirs)
	e := &Enforcer{config: c, turn: make(chan struct{}, 1)}
	if err := e.Reload(); err != nil {
		return nil, err
	}
	return e, nil
}

// Reload reads the files again. When it returns an error, the rules from before stay in force.
func (e *Enforcer) Reload() error {
	e.turn <- struct{}{}
	defer func() { <-e.turn }()
	return e.read(stamps(&e.config))
}

// read takes over the rules of the files as they are at now. The turn is the caller's.
func (e *Enforcer) read(now []stamp) error {
	e.looked.Store(time.Now().UnixNano())
	e.seen = now
	rules, err := load(&e.config)
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	e.rules.Store(rules)
	return nil
}

// look reads the files again if they changed, and nobody has looked for a while.
func (e *Enforcer) look(ctx context.Context) {
	if time.Since(time.Unix(0, e.looked.Load())) < lookEvery {
		return
	}
	select {
	case e.turn <- struct{}{}:
		defer func() { <-e.turn }()
	default:
		return // somebody else looks
	}
	e.looked.Store(time.Now().UnixNano())
	now := stamps(&e.config)
	if slices.Equal(now, e.seen) {
		return
	}
	// A file that is being replaced by another is not there for a moment, in which the defaults might allow more.
	if gone := missing(e.seen, now); gone != "" && !e.missed {
		e.missed = true
		e.config.Logger.WarnContext(ctx, "a policy file is gone", "file", gone)
		return
	}
	e.missed = false
	if err := e.read(now); err != nil {
		e.config.Logger.ErrorContext(ctx, "policy files were changed, and cannot be used; the rules from before stay in force", "error", err)
		return
	}
	e.config.Logger.InfoContext(ctx, "policy files were changed, and read again", "files", len(now))
}

// Check returns nil if the rule allows who to do something with the target, and a [*NotAuthorizedError] if it does not.
// A rule that nobody defines is the default rule, and allows nothing if there is none either. Credentials with a
// system_scope have it as system too, as in oslo.policy.
func (e *Enforcer) Check(ctx context.Context, name string, who Credentials, target Target) error {
	e.look(ctx)
	r := e.rules.Load().named(name)
	if r == nil {
		return &NotAuthorizedError{Rule: name, Reason: "nobody defines this rule, nor a default rule"}
	}
	if scope := scopeOf(who); !e.config.AnyScope && len(r.scopes) > 0 && !slices.Contains(r.scopes, scope) {
		return &NotAuthorizedError{Rule: name, Reason: fmt.Sprintf("it is for tokens of scope %s, and this one is of scope %s",
			strings.Join(r.scopes, " or "), scope)}
	}
	if scope := who["system_scope"]; given(scope) {
		who = maps.Clone(who)
		who["system"] = scope
	}
	if !r.check.allows(&question{who, target}) {
		return &NotAuthorizedError{Rule: name}
	}
	return nil
}

// scopeOf is the scope of the caller's token.
func scopeOf(who Credentials) string {
	switch {
	case given(who["system_scope"]) || given(who["system"]):
		return "system"
	case given(who["domain_id"]):
		return "domain"
	default:
		return "project"
	}
}

func given(value any) bool {
	text, ok := scalar(value)
	return ok && value != nil && text != "" && text != "False"
}

// A NotAuthorizedError says that a rule does not allow something. To a REST API it is 403.
type NotAuthorizedError struct {
	Rule   string
	Reason string // more than that the rule says no; "" = there is nothing more
}

// Error names the rule.
func (e *NotAuthorizedError) Error() string {
	if e.Reason != "" {
		return fmt.Sprintf("policy does not allow %s: %s", e.Rule, e.Reason)
	}
	return "policy does not allow " + e.Rule
}

// HTTPStatus is 403.
func (e *NotAuthorizedError) HTTPStatus() int { return http.StatusForbidden }
