package paste

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/goslo/goslo/rest"
)

// URLMap is the composite factory of Paste: each setting maps a path to an app, as in "/v2: api_v2", and the longest path
// that fits a request gets it. A path may be for one host, as in "domain api.example.com port 8774 /v2", which goes first. The setting not_found_app names
// the app for all other requests; without it they are answered by 404.
//
// The app sees the path without what was mapped, and "/" when nothing is left; [rest.Mount] tells what was taken off.
// A row of slashes counts as one.
func URLMap(l *Loader, s Settings) (http.Handler, error) { return newMap(l, s, false) }

// NovaURLMap is the composite factory nova.api.openstack.urlmap:urlmap_factory: a [URLMap] in which a path that ends in "/+" is for what
// has something behind its slash, so that "/v2.1/+" and "/v2.1" can be two apps. It does not choose an app by the parameter
// version of Accept and Content-Type, as nova does.
func NovaURLMap(l *Loader, s Settings) (http.Handler, error) { return newMap(l, s, true) }

// URLMapWithout returns the factory of a [URLMap] that leaves out paths of versions that upstream has removed, such as
// cinder.api:root_app_factory.
func URLMapWithout(paths ...string) CompositeFactory {
	return func(l *Loader, s Settings) (http.Handler, error) { return newMap(l, s, false, paths...) }
}

type urlMap struct {
	mounts   []mount // in the order in which they are tried
	notFound http.Handler
}

type mount struct {
	host string // host or host:port; "" = any
	path string // without a slash at its end; "" = all
	more bool   // something must follow the path
	app  http.Handler
}

func newMap(l *Loader, s Settings, wildcards bool, without ...string) (http.Handler, error) {
	l = l.With(s)
	m := &urlMap{notFound: http.HandlerFunc(notFound)}
	var errs []error
	if named, ok := s.Lookup("not_found_app"); ok && named.Value != "" {
		app, err := l.App(named, named.Value)
		errs = append(errs, err)
		m.notFound = app
	}
	for each := range s.Local() {
		if each.Name == "not_found_app" {
			continue
		}
		mounted, err := parseMount(each, wildcards)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if mounted.host == "" && slices.Contains(without, mounted.path) {
			l.loader.run.warn(each.at, each.section, each.Name, "upstream has removed this version")
			continue
		}
		if mounted.app, err = l.App(each, each.Value); err != nil {
			errs = append(errs, err)
			continue
		}
		m.mounts = slices.DeleteFunc(m.mounts, func(o mount) bool {
			return o.host == mounted.host && o.path == mounted.path && o.more == mounted.more
		})
		m.mounts = append(m.mounts, mounted)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	slices.SortStableFunc(m.mounts, func(a, b mount) int {
		if (a.host == "") != (b.host == "") {
			return cmp.Compare(len(b.host), len(a.host)) // those of a host first
		}
		return cmp.Or(cmp.Compare(a.host, b.host), cmp.Compare(b.length(), a.length()))
	})
	return m, nil
}

// length is that of the path as it is written.
func (m mount) length() int {
	if m.more {
		return len(m.path) + len("/+")
	}
	return len(m.path)
}

// parseMount reads "[domain NAME [port NUMBER]] [/path]".
func parseMount(from Setting, wildcards bool) (mount, error) {
	var m mount
	var port, path string
	words := strings.Fields(from.Name)
	for i := 0; i < len(words); i++ {
		target := &path
		switch words[i] {
		case "domain":
			target = &m.host
			i++
		case "port":
			target = &port
			i++
		}
		if i == len(words) {
			return m, from.Errorf("%s is not followed by anything", words[i-1])
		}
		if *target != "" {
			return m, from.Errorf("%s and %s are one too many", *target, words[i])
		}
		*target = words[i]
	}
	switch {
	case port != "" && m.host == "":
		return m, from.Errorf("a port needs a domain")
	case path != "" && path[0] != '/' && m.host == "":
		return m, from.Errorf("a path begins with a slash")
	}
	m.host = strings.ToLower(m.host)
	if port != "" {
		m.host += ":" + port
	}
	if path != "" && path[0] != '/' {
		path = "/" + path
	}
	path = slashes.ReplaceAllString(path, "/")
	if wildcards {
		path, m.more = strings.CutSuffix(path, "/+")
	}
	m.path = strings.TrimRight(path, "/")
	return m, nil
}

var slashes = regexp.MustCompile("//+")

// ServeHTTP is part of http.Handler.
func (m *urlMap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := strings.ToLower(r.Host)
	name, port, ok := strings.Cut(host, ":")
	if !ok {
		port = "80"
		if r.TLS != nil {
			port = "443"
		}
	}
	path := slashes.ReplaceAllString(r.URL.Path, "/")
	for _, each := range m.mounts {
		if each.host != "" && each.host != name && each.host != name+":"+port {
			continue
		}
		if each.fits(path) {
			below := under(r, path, each.path)
			defer func() { r.Pattern = below.Pattern }() // for those who trace it
			each.app.ServeHTTP(w, below)
			return
		}
	}
	m.notFound.ServeHTTP(w, r)
}

func (m mount) fits(path string) bool {
	below, ok := strings.CutPrefix(path, m.path)
	if m.more {
		return ok && len(below) > 1 && below[0] == '/'
	}
	return ok && (below == "" || below[0] == '/')
}

func notFound(w http.ResponseWriter, r *http.Request) {
	rest.WriteFault(w, r, rest.Faultf(http.StatusNotFound, "there is nothing at %s", r.URL.Path))
}

// under returns r as it is seen below a prefix of its path.
func under(r *http.Request, path, prefix string) *http.Request {
	below := r.WithContext(rest.WithMount(r.Context(), prefix))
	below.URL = new(url.URL)
	*below.URL = *r.URL
	below.URL.Path = cmp.Or(path[len(prefix):], "/")
	raw, ok := strings.CutPrefix(r.URL.RawPath, prefix)
	if !ok || !strings.HasPrefix(raw, "/") || strings.Contains(raw, "//") {
		raw = "" // net/url makes it of Path
	}
	below.URL.RawPath = raw
	return below
}
