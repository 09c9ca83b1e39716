package rabbit

import (
	"cmp"
	"net/url"
	"strconv"
	"strings"

	"github.com/goslo/goslo/transport"
)

// hosts reads which brokers to use, and as whom. Before there was transport_url each part had an option (CFG-69);
// these count when the URL names no hosts.
func (s *settings) hosts(o *transport.Options, u *transport.URL) {
	use := "transport_url"
	if len(u.Hosts) > 0 {
		use = "transport_url, which names the hosts: this one is ignored"
	}
	hostName, host := o.Retired(use, "rabbit_host", "host")
	portName, port := o.Retired(use, "rabbit_port", "port")
	listName, list := o.Retired(use, "rabbit_hosts", "hosts")
	_, user := o.Retired(use, "rabbit_userid", "userid")
	_, password := o.Retired(use, "rabbit_password", "password")
	_, vhost := o.Retired(use, "rabbit_virtual_host", "virtual_host")
	if len(u.Hosts) > 0 {
		s.endpoints, s.vhost = endpoints(u.Hosts), virtualHost(u.VirtualHost)
		return
	}
	// What else stands there may be a password, and is not shown.
	const bare = "is more than a host; the scheme, users, passwords and options belong in transport_url"
	if strings.ContainsAny(host, "@/?#,") {
		o.Wrong(hostName, bare)
		return
	}
	hosts := []transport.Host{{Hostname: host}}
	if list != "" {
		if strings.ContainsAny(list, "@/?#") {
			o.Wrong(listName, bare)
			return
		}
		named, err := transport.ParseURL("rabbit://" + strings.ReplaceAll(list, " ", ""))
		if err != nil {
			o.Wrong(listName, strconv.Quote(list)+" is not host:port, host:port ...")
			return
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
		h.Username, h.Password = cmp.Or(user, "guest"), cmp.Or(password, "guest")
	}
	s.endpoints = endpoints(hosts)
	s.vhost = virtualHost(u.VirtualHost)
	if u.VirtualHost == "" && vhost != "" {
		s.vhost = vhost
	}
}

// endpoints applies oslo's defaults: no host means localhost (URL-29); a host without a user means guest/guest (URL-30).
func endpoints(hosts []transport.Host) []endpoint {
	list := make([]endpoint, len(hosts))
	for i, h := range hosts {
		if h.Hostname == "" {
			h.Hostname = "localhost"
		}
		e := endpoint{host: h.Hostname, addr: h.Addr(defaultPort), user: h.Username, password: h.Password}
		if e.user == "" && e.password == "" {
			e.user, e.password = "guest", "guest"
		}
		list[i] = e
	}
	return list
}

// virtualHost applies URL-32 (empty means "/") and URL-33 (the name is decoded a second time).
func virtualHost(name string) string {
	if name == "" {
		return "/"
	}
	if again, err := url.PathUnescape(name); err == nil {
		return again
	}
	return name
}
