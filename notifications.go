package goslo

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/transport"
)

// notificationGroup is where oslo.messaging's notifier has its options.
const notificationGroup = "oslo_messaging_notifications"

// formerNotificationNames are what they were called when they stood in [DEFAULT].
var formerNotificationNames = map[string]string{
	"driver": "notification_driver", "transport_url": "notification_transport_url",
	"topics": "notification_topics", "routing_config": "routing_notifier_config",
}

// Notifications returns c for the bus that carries notifications: that of transport_url in [oslo_messaging_notifications], where Options have one,
// else the one for RPC (TRN-02). A program whose notifications go to the bus of its RPC needs one connection; ask whether the URL is
// another.
func (c Config) Notifications() (Config, error) {
	url, err := c.notificationOption("transport_url")
	if err != nil {
		return c, &ConfigError{err}
	}
	if url != "" {
		c.URL = url
	}
	return c, nil
}

// NotifierConfig returns what c's options say of notifiers: the drivers, which send over bus, and how often they try. Without options, or
// without a driver in them, nobody is told anything, as with oslo.messaging. The publisher is for the caller to set.
//
// The error is as that of [Config.Check]: a driver that there is not, a routing_config that cannot be read.
func (c Config) NotifierConfig(bus transport.Transport) (notify.NotifierConfig, error) {
	n := notify.NotifierConfig{Logger: c.Logger}
	if c.Options == nil {
		return n, nil
	}
	names, err := c.notificationValues("driver")
	if err != nil {
		return n, &ConfigError{err}
	}
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == "" }) // "driver =" is how tools write none
	d := notify.DriverConfig{Bus: bus, Logger: c.Logger, Messaging: notify.MessagingConfig{Logger: c.Logger}}
	if d.Routing, err = c.notificationOption("routing_config"); err != nil {
		return n, &ConfigError{err}
	}
	if d.Messaging.Topics, err = c.NotificationTopics(); err != nil {
		return n, err
	}
	settings, err := c.take(notificationGroup, "retry")
	if err != nil {
		return n, &ConfigError{err}
	}
	retry := -1
	o := transport.URL{}.Options().From(settings)
	o.Int("retry", &retry, -1, math.MaxInt32)
	if err := o.Finish(); err != nil {
		return n, err
	}
	switch {
	case retry == 0:
		n.Retry = notify.Never
	case retry > 0:
		n.Retry = notify.Times(retry)
	}
	if n.Drivers, err = notify.NewDrivers(names, d); err != nil {
		return n, &ConfigError{fmt.Errorf("goslo: %s: [%s]: %w", c.Options, notificationGroup, err)}
	}
	return n, nil
}

// NotificationTopics returns the topics that notifications go to: topics in [oslo_messaging_notifications], else notify.DefaultTopic. An option that
// is given and empty means none (NOTIFY-05). An error is a *ConfigError.
func (c Config) NotificationTopics() ([]string, error) {
	if c.Options == nil {
		return []string{notify.DefaultTopic}, nil
	}
	for _, at := range [][2]string{{notificationGroup, "topics"}, {"rpc_notifier2", "topics"}, {config.Default, formerNotificationNames["topics"]}} {
		text, from, err := c.Options.Option(at[0], at[1])
		if err != nil {
			return nil, &ConfigError{err}
		}
		if from == "" {
			continue
		}
		topics := []string{}
		for topic := range strings.SplitSeq(text, ",") {
			if topic = strings.TrimSpace(topic); topic != "" {
				topics = append(topics, topic)
			}
		}
		return topics, nil
	}
	return []string{notify.DefaultTopic}, nil
}

// notificationOption is an option of the group, or what stands under its former name; "" when there are no options.
func (c Config) notificationOption(name string) (string, error) {
	if c.Options == nil {
		return "", nil
	}
	value, _, err := c.Options.Option(notificationGroup, name)
	if value != "" || err != nil {
		return value, err
	}
	value, _, err = c.Options.Option(config.Default, formerNotificationNames[name])
	return value, err
}

func (c Config) notificationValues(name string) ([]string, error) {
	values, _, err := c.Options.Values(notificationGroup, name)
	if len(values) > 0 || err != nil {
		return values, err
	}
	values, _, err = c.Options.Values(config.Default, formerNotificationNames[name])
	return values, err
}
