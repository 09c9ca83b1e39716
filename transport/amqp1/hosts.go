package amqp1

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/goslo/goslo/transport"
)

const (
	defaultPort    = 5672 // with TLS too, as upstream
	defaultTLSPort = 5671 // of amqps://
)

// hosts reads which brokers to use, and as whom, and returns whether TLS is asked for by the old option. Before there
// was transport_url each part had an option; these count when the URL names no hosts.
func (s *settings) hosts(o *transport.Options, u *transport.URL) (encrypt bool) {
	use := "transport_url"
	if len(u.Hosts) > 0 {
		use = "transport_url, which names the hosts: this one is ignored"
	}
	hostName, host := o.Retired(use, "qpid_hostname", "hostname")
	portName, port := o.Retired(use, "qpid_port", "port")
	listName, list := o.Retired(use, "qpid_hosts")
	_, user := o.Retired(use, "qpid_username", "username")
	_, password := o.Retired(use, "qpid_password", "password")
	protocolName, protocol := o.Retired("ssl", "qpid_protocol", "protocol")
	defaultAt := defaultPort
	if u.Scheme == "amqps" {
		defaultAt = defaultTLSPort
	}
	if len(u.Hosts) > 0 {
		s.endpoints = endpoints(u.Hosts, defaultAt)
		return false
	}
	switch strings.ToLower(protocol) {
	case "", "tcp":
	case "ssl":
		encrypt = true
	default:
		o.Wrong(protocolName, strconv.Quote(protocol)+" is neither tcp nor ssl")
	}
	// What else stands there may be a password, and is not shown.
	const bare = "is more than a host; the scheme, users, passwords and options belong in transport_url"
	if strings.ContainsAny(host, "@/?#,") {
		o.Wrong(hostName, bare)
		return encrypt
	}
	hosts := []transport.Host{{Hostname: host}}
	if list != "" {
		if strings.ContainsAny(list, "@/?#") {
			o.Wrong(listName, bare)
			return encrypt
		}
		named, err := transport.ParseURL("amqp://" + strings.ReplaceAll(list, " ", ""))
		if err != nil {
			o.Wrong(listName, strconv.Quote(list)+" is not host:port, host:port ...")
			return encrypt
		}
		hosts = named.Hosts
	}
	number, err := strconv.ParseUint(cmp.Or(port, "0"), 10, 16)
	if err != nil {
		o.Wrong(portName, strconv.Quote(port)+" is no port number")
	}
	for i := range hosts {
		h := &hosts[i]
		h.Port = cmp.Or(h.Port, int(number))
		h.Username, h.Password = user, password
	}
	s.endpoints = endpoints(hosts, defaultAt)
	return encrypt
}

// endpoints applies the defaults: no host means localhost.
func endpoints(hosts []transport.Host, port int) []endpoint {
	list := make([]endpoint, len(hosts))
	for i, h := range hosts {
		h.Hostname = cmp.Or(h.Hostname, "localhost")
		list[i] = endpoint{host: h.Hostname, addr: h.Addr(port), user: h.Username, password: h.Password}
	}
	return list
}
