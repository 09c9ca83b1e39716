package goslo

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/transport"
)

// rabbitGroup is where oslo.messaging's driver for RabbitMQ has its options.
const rabbitGroup = "oslo_messaging_rabbit"

// strayPrefixes begin the names of RabbitMQ's options that stood in [DEFAULT] before they had a group (CFG-69).
var strayPrefixes = []string{"rabbit_", "kombu_", "amqp_"}

// hostNames are options by which a file named the broker before there was transport_url (CFG-69).
var hostNames = []string{"rabbit_host", "rabbit_hosts", "host", "hosts"}

// fromFiles fills in what the files say and c does not, and returns the options of RabbitMQ.
func (c Config) fromFiles() (Config, []transport.Setting, error) {
	if len(c.Files) == 0 {
		return c, nil, nil
	}
	for _, o := range []struct {
		name  string
		value *string
	}{{"transport_url", &c.URL}, {"control_exchange", &c.Exchange}} {
		if *o.value != "" {
			continue
		}
		s, err := setting(c.Files, config.Default, o.name)
		if err != nil {
			return c, nil, err
		}
		*o.value = s.Value
	}
	settings, err := rabbitSettings(c.Files)
	if err != nil {
		return c, nil, err
	}
	if c.URL == "" {
		if !slices.ContainsFunc(settings, func(s transport.Setting) bool { return slices.Contains(hostNames, s.Name) }) {
			return c, nil, fmt.Errorf("goslo: no transport_url in [DEFAULT] of %s; add one", strings.Join(c.Files.Paths(), ", "))
		}
		c.URL = "rabbit://"
	}
	return c, settings, nil
}

// rabbitSettings are RabbitMQ's options, those from their old place first, so that the others count.
func rabbitSettings(files config.Files) ([]transport.Setting, error) {
	var list []transport.Setting
	for _, group := range []string{config.Default, rabbitGroup} {
		for _, name := range files.Names(group) {
			old := slices.ContainsFunc(strayPrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
			if group == config.Default && !old {
				continue
			}
			s, err := setting(files, group, name)
			if err != nil {
				return nil, err
			}
			s.Stray = group == config.Default
			list = append(list, s)
		}
	}
	return list, nil
}

// setting reads one option. Its Value is "" where no file has it.
func setting(files config.Files, group, name string) (transport.Setting, error) {
	value, at, err := files.Get(group, name)
	return transport.Setting{Name: name, Value: value, At: at}, err
}
