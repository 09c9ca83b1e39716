package doctor

import (
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/goslo/goslo/transport"
)

const rabbitGroup = "oslo_messaging_rabbit"

// option is an option of RabbitMQ's group, or of the URL, which comes first; with where it is given.
func (f *Facts) option(name string) (value, from string) {
	if u, at := f.url(); u != nil {
		for _, o := range u.Query {
			if o.Name == name {
				return o.Value, at
			}
		}
	}
	return f.given(rabbitGroup, name)
}

// given is an option that somebody gives, and where; defaults are Python's and Go's own, and differ. What cannot be read counts as not
// given: goslo config check tells.
func (f *Facts) given(group, name string) (value, from string) {
	value, from, err := f.Settings.Option(group, name)
	if err != nil || from == "default" {
		return "", ""
	}
	return value, from
}

// isOn reads a Boolean as oslo.config does.
func (f *Facts) isOn(name string) bool {
	value, _ := f.option(name)
	return slices.Contains([]string{"true", "1", "on", "yes"}, strings.ToLower(value))
}

// url is that of the bus; nil = none is given, or it is wrong, which goslo config check tells.
func (f *Facts) url() (u *transport.URL, from string) {
	text, from := f.given("DEFAULT", "transport_url")
	if text == "" {
		return nil, ""
	}
	u, err := transport.ParseURL(text)
	if err != nil {
		return nil, from
	}
	return u, from
}

// encryption judges how the configured service connects, as Python's oslo.messaging would.
func encryption(f *Facts) []Finding {
	u, at := f.url()
	if u == nil || u.Scheme != "rabbit" && u.Scheme != "kombu" {
		return nil
	}
	finding := Finding{Severity: Warn, Subject: subject("[oslo_messaging_rabbit] ssl", at)}
	ca, _ := f.option("ssl_ca_file")
	verify, from := f.option("ssl_enforce_hostname_verification")
	switch {
	case !f.isOn("ssl"):
		if !remote(u) {
			return nil
		}
		finding.Severity = Info
		finding.Text = "connections are not encrypted: who can listen on the network reads passwords, tokens and what is asked of whom"
		finding.Next = "give the broker a certificate, then set ssl = true and ssl_ca_file, and its TLS port in transport_url"
	case ca == "":
		finding.Text = "Python services do not check the broker's certificate at all without ssl_ca_file: anybody can pose as the broker"
		finding.Next = "set ssl_ca_file to the authority of the broker's certificate"
	case verify != "" && !f.isOn("ssl_enforce_hostname_verification"):
		finding.Subject = subject("[oslo_messaging_rabbit] ssl_enforce_hostname_verification", from)
		finding.Text = "any certificate of the authority passes for the broker's: the host name in it is not compared"
		finding.Next = "set ssl_enforce_hostname_verification = true, once the certificates name the hosts of transport_url"
	case verify == "":
		finding.Severity = Info
		finding.Text = "oslo.messaging compares the host name in the certificate since May 2026; older ones take any certificate of the authority"
		finding.Next = "see that the certificates name the hosts of transport_url, and upgrade oslo.messaging"
	default:
		return nil
	}
	return []Finding{finding}
}

func subject(what, at string) string {
	if at == "" {
		return what
	}
	return what + " (" + at + ")"
}

// remote says whether one of the hosts is another machine.
func remote(u *transport.URL) bool {
	return slices.ContainsFunc(u.Hosts, func(h transport.Host) bool {
		ip := net.ParseIP(h.Hostname)
		return h.Hostname != "localhost" && (ip == nil || !ip.IsLoopback())
	})
}

// settings compares what a configured service will ask for with what is there.
func settings(f *Facts) []Finding {
	var found []Finding
	durable := f.isOn("rabbit_quorum_queue") || f.isOn("amqp_durable_queues")
	for _, name := range f.exchanges() {
		for _, x := range f.View.Exchanges {
			if x.Name == name && x.Type == "topic" && x.Durable != durable {
				found = append(found, Finding{
					Severity: Bad, Subject: "exchange " + name,
					Text:     fmt.Sprintf("it is %s, and a service with this configuration asks for a %s one: it will fail with 406 when it starts", durability(x.Durable), durability(durable)),
					Evidence: []string{f.asks("rabbit_quorum_queue"), f.asks("amqp_durable_queues")},
					Next:     "goslo plan quorum",
				})
			}
		}
	}
	if refused, _ := f.refusesTransient(); refused {
		if !durable || !f.isOn("rabbit_transient_quorum_queue") {
			found = append(found, Finding{
				Severity: Bad, Subject: "[oslo_messaging_rabbit]",
				Text:     "a service with this configuration makes transient queues, which RabbitMQ " + f.View.Broker.Version + " refuses: it will fail with 541 when it starts",
				Evidence: []string{f.asks("rabbit_quorum_queue"), f.asks("rabbit_transient_quorum_queue")},
				Next:     "goslo plan quorum",
			})
		}
	}
	if f.isOn("rabbit_quorum_queue") && f.isOn("rabbit_ha_queues") {
		found = append(found, Finding{
			Severity: Bad, Subject: "[oslo_messaging_rabbit] rabbit_ha_queues",
			Text: "it cannot go with rabbit_quorum_queue: Python services refuse to start with both", Next: "remove rabbit_ha_queues",
		})
	}
	return found
}

// asks says how an option is set.
func (f *Facts) asks(name string) string {
	value, from := f.option(name)
	if from == "" {
		return name + " is not set"
	}
	return fmt.Sprintf("%s = %s (%s)", name, strconv.Quote(value), from)
}

// exchanges are those that a service with these options uses: control_exchange. Without it each project has its own default,
// which for most is the project's name, as is that of its file.
func (f *Facts) exchanges() []string {
	if name, _ := f.given("DEFAULT", "control_exchange"); name != "" {
		return []string{name}
	}
	_, at := f.url()
	file, _, _ := strings.Cut(filepath.Base(at), ".")
	return []string{"openstack", file}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
