package rest

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
)

// A Version is how clients find an API: what keystoneauth's discovery reads.
type Version struct {
	ID      string // such as v1.0 or v2.1. Default: v1.0
	Path    string // where the API is mounted. Default: /v1 for v1.0, /v2.1 for v2.1
	Status  string // CURRENT, SUPPORTED, DEPRECATED or EXPERIMENTAL. Default: CURRENT
	Updated string // such as 2026-11-21T00:00:00Z. Default: not told
}

func (v Version) complete() (Version, error) {
	v.ID = cmp.Or(v.ID, "v1.0")
	v.Path = "/" + strings.Trim(cmp.Or(v.Path, strings.TrimSuffix(v.ID, ".0")), "/")
	v.Status = cmp.Or(v.Status, "CURRENT")
	if v.Path == "/" {
		return v, errors.New("rest: Version.Path: the root is for the versions document")
	}
	return v, nil
}

// entry is a version as documents have it. Microversions are told as the newest and the oldest; an API without has empty ones.
type entry struct {
	ID         string `json:"id"`
	Status     string `json:"status"`
	Version    string `json:"version"`
	MinVersion string `json:"min_version"`
	Updated    string `json:"updated,omitempty"`
	Links      []link `json:"links"`
}

func (a *API) entry(self string) entry {
	return entry{a.version.ID, a.version.Status, a.span.max.String(), a.span.min.String(), a.version.Updated, []link{{"self", self + "/"}}}
}

// document answers GET / of the API: what it is.
func (a *API) document(w http.ResponseWriter, r *http.Request) {
	answer(w, r, http.StatusOK, map[string]entry{"version": a.entry(BaseURL(r))})
}

func answer(w http.ResponseWriter, r *http.Request, status int, v any) {
	body, err := encode(v)
	if err != nil {
		WriteFault(w, r, err)
		return
	}
	write(w, status, body)
}

// Versions is the root of a program's HTTP: it mounts each API at its Version.Path, and answers GET / with the versions there are, 300 as
// cinder and keystone do. It is the handler for service.HTTPServer, with filters around it. Of two APIs at one path the first answers.
func Versions(apis ...*API) http.Handler {
	deepest := slices.SortedStableFunc(slices.Values(apis), func(a, b *API) int { return cmp.Compare(len(b.version.Path), len(a.version.Path)) })
	root := func(w http.ResponseWriter, r *http.Request) {
		versions := make([]entry, len(apis))
		for i, a := range apis {
			base := BaseURL(r.WithContext(context.WithValue(r.Context(), callKey{}, &call{api: a})))
			versions[i] = a.entry(base + a.version.Path)
		}
		answer(w, r, http.StatusMultipleChoices, map[string][]entry{"versions": versions})
	}
	return RequestID(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "" || r.URL.Path == "/" {
			methods{http.MethodGet: root}.ServeHTTP(w, r)
			return
		}
		for _, a := range deepest {
			if at := a.version.Path; r.URL.Path == at || strings.HasPrefix(r.URL.Path, at+"/") {
				mounted(at, a).ServeHTTP(w, r)
				return
			}
		}
		WriteFault(w, r, noResource(r, "; the versions of this API are at /"))
	}))
}
