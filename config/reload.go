package config

import (
	"reflect"
	"slices"
)

// A Change is an option that is set otherwise than the program has it.
type Change struct {
	Setting        // as it is set now
	Old     string // *** for a secret
	Restart bool   // the option is not mutable: the program keeps the old value until it is started again
}

// Reload reads the files again; the command line and the environment are those of the start. When all is well it makes
// the new values of mutable options what [Config.Get] returns, all at once, then calls what [Config.OnChange] was given,
// logs each change and that it is done, and returns them. Options that are not mutable keep their values; where they are set otherwise now,
// that is reported too. When anything is wrong nothing changes, and the error is as [Load]'s.
func (c *Config[T]) Reload() ([]Change, error) {
	c.reload.Lock()
	defer c.reload.Unlock()
	fresh := c.loader.read()
	c.looked.Store(&fresh.sum)
	if len(fresh.errs) > 0 {
		return nil, fresh.problems(nil)
	}
	running, old := c.state.Load(), c.current.Load()
	changes := c.loader.schema.merge(running, fresh)
	value := *old
	c.loader.schema.fill(reflect.ValueOf(&value).Elem(), fresh.results)
	if err := fresh.problems(func() error { return c.loader.schema.validate(reflect.ValueOf(&value)) }); err != nil {
		return nil, err
	}
	c.state.Store(fresh)
	if slices.ContainsFunc(changes, func(change Change) bool { return !change.Restart }) {
		c.current.Store(&value)
		for _, hook := range c.hooks {
			hook(old, &value)
		}
	}
	c.warn(fresh.warnings)
	for _, change := range changes {
		c.logChange(change)
	}
	c.log.Info("configuration: reloaded", "files", c.Files(), "changes", len(changes)) // also none: whoever asked for it looks for this
	return changes, nil
}

// OnChange makes every reload that changes a value call f, once that value is in force. Calls come one at a time, those
// of one reload in the order of OnChange; f must neither reload nor call OnChange.
func (c *Config[T]) OnChange(f func(old, new *T)) {
	c.reload.Lock()
	defer c.reload.Unlock()
	c.hooks = append(c.hooks, f)
}

func (c *Config[T]) logChange(change Change) {
	attrs := []any{"group", change.Group, "option", change.Name, "old", change.Old, "new", change.Value, "from", change.From}
	if change.Restart {
		c.log.Warn("configuration: option changed, which needs a restart", attrs...)
		return
	}
	c.log.Info("configuration: option changed", attrs...)
}

// merge compares what runs with what was read, and puts what stays as it runs into fresh.
func (s *schema) merge(running, fresh *state) []Change {
	var changes []Change
	for _, o := range s.options {
		was, is := running.results[o], fresh.results[o]
		if !same(was.value, is.value) {
			changes = append(changes, Change{Setting: is.setting(o), Old: was.setting(o).Value, Restart: !o.mutable})
		}
		if !o.mutable {
			fresh.results[o] = was
		}
	}
	return changes
}

func same(a, b reflect.Value) bool {
	if !a.IsValid() || !b.IsValid() {
		return a.IsValid() == b.IsValid()
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}
