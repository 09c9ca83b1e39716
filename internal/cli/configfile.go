package cli

import (
	"strings"

	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/transport"
)

// rabbitGroup is where oslo.messaging's driver for RabbitMQ has its options.
const rabbitGroup = "oslo_messaging_rabbit"

// rabbitOptions are the options of that group without which a client does not get in, or declares queues that
// differ from those of its peers. In a URL they have the same names.
var rabbitOptions = []string{
	"ssl", "ssl_ca_file", "ssl_cert_file", "ssl_key_file", "ssl_enforce_hostname_verification", "rabbit_login_method",
	"amqp_durable_queues", "amqp_auto_delete", "rabbit_quorum_queue",
}

// fileSettings are what the configuration files say about the bus.
type fileSettings struct {
	url, urlAt string // urlAt is path:line
	exchange   string
}

func readFiles(paths []string) (fileSettings, error) {
	var s fileSettings
	var options []transport.Option
	for _, path := range paths {
		f, err := config.ReadFile(path)
		if err != nil {
			return s, &usageError{cause: err}
		}
		if _, ok := f.Get(config.Default, "transport_url"); ok {
			s.urlAt = f.Position(config.Default, "transport_url")
		}
		if err := set(&s.url, f, config.Default, "transport_url"); err != nil {
			return s, err
		}
		if err := set(&s.exchange, f, config.Default, "control_exchange"); err != nil {
			return s, err
		}
		for _, name := range rabbitOptions {
			o := transport.Option{Name: name}
			if err := set(&o.Value, f, rabbitGroup, name); err != nil {
				return s, err
			}
			if o.Value != "" {
				options = append(options, o)
			}
		}
	}
	var err error
	s.url, err = withOptions(s.url, options)
	return s, err
}

// set reads an option into v, unless the file does not have it.
func set(v *string, f *config.File, group, name string) error {
	value, ok := f.Get(group, name)
	if !ok {
		return nil
	}
	text, ok := literal(value)
	if !ok {
		return usagef("%s: %s refers to another option with $, which goslo does not fill in; give the bus with --url and the exchange with --exchange",
			f.Position(group, name), name)
	}
	*v = text
	return nil
}

// literal is a value whose "$" are all escaped, as "$$" or "\$".
func literal(value string) (string, bool) {
	value = strings.ReplaceAll(value, `\$`, "$$")
	text := strings.ReplaceAll(value, "$$", "")
	if i := strings.IndexByte(text, '$'); i >= 0 && i+1 < len(text) && isReferenceStart(text[i+1]) {
		return "", false
	}
	return strings.ReplaceAll(value, "$$", "$"), true
}

// isReferenceStart says what makes a "$" a reference: a name or a brace; see Template in oslo_config/cfg.py.
func isReferenceStart(c byte) bool {
	return c == '{' || c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// withOptions adds options to a URL for RabbitMQ. Those in the URL win, as in oslo.messaging; of several the last one does.
func withOptions(url string, options []transport.Option) (string, error) {
	if url == "" || len(options) == 0 {
		return url, nil
	}
	u, err := transport.ParseURL(url)
	if err != nil {
		return "", err
	}
	if d := u.Driver(); d != "rabbit" && d != "kombu" {
		return url, nil
	}
	taken := map[string]bool{}
	for _, o := range u.Query {
		taken[o.Name] = true
	}
	for i := len(options) - 1; i >= 0; i-- {
		if o := options[i]; !taken[o.Name] {
			taken[o.Name] = true
			u.Query = append(u.Query, o)
		}
	}
	return u.Reveal(), nil
}
