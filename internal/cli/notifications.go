package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/transport"
)

// notificationGroup is where oslo.messaging's notifier has its options.
const notificationGroup = "oslo_messaging_notifications"

// openNotifications connects to the bus that carries notifications: the one that open chooses, but that of the files' group for notifications comes
// before that of [DEFAULT].
func (a *app) openNotifications(ctx context.Context, program string) (transport.Transport, error) {
	var err error
	if a.bus, err = a.choose(); err != nil {
		return nil, err
	}
	if env, _ := a.lookup("GOSLO_URL"); a.url == "" && env == "" && a.options != nil {
		c, err := goslo.Config{Options: a.options}.Notifications()
		if err != nil {
			return nil, err
		}
		if c.URL != "" {
			a.bus.url, a.bus.from = c.URL, "transport_url in ["+notificationGroup+"] of "+a.options.String()
		}
	}
	return a.dial(ctx, program)
}

// notificationTopics are those of the files, or the default.
func (a *app) notificationTopics() ([]string, error) {
	if err := a.loadFiles(); err != nil {
		return nil, err
	}
	topics, err := goslo.Config{Options: a.options}.NotificationTopics()
	if err == nil && len(topics) == 0 {
		err = usagef("%s: topics in [%s] is empty; name a topic", a.options, notificationGroup)
	}
	return topics, err
}

// priority reads a priority as people and Python write it: in any case, and "warning" for warn (NOTIFY-03).
func priority(text string) (notify.Priority, error) {
	p := notify.Priority(strings.ToLower(text))
	if p == "warning" {
		p = notify.Warn
	}
	if !slices.Contains(notify.Priorities(), p) {
		return "", usagef("--priority %q is not one of %s", text, strings.Join(priorityNames(), ", "))
	}
	return p, nil
}

func priorityNames() []string {
	all := notify.Priorities()
	names := make([]string, 0, len(all))
	for _, p := range all {
		names = append(names, string(p))
	}
	return names
}

// completeFixed completes a flag, which is there, from values that do not change.
func completeFixed(c *cobra.Command, flag string, values ...string) {
	_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}
