package rest

import "net/http"

// A Page says which part of a collection a client wants: ?limit=50&marker=ID. It is what Index and Detail are asked for, alone or
// embedded in a struct with more parameters:
//
//	type listQuery struct {
//		rest.Page
//		Status string `query:"status"`
//	}
type Page struct {
	// Limit is how many items at most: 1 to Config.MaxLimit, which is also what 0 and no limit mean.
	Limit int `query:"limit"`
	// Marker is the id of the last item that the client has; "" = from the beginning.
	Marker string `query:"marker"`
}

// clamp is also a method of structs that embed a Page.
func (p *Page) clamp(most int) error {
	if p.Limit < 0 {
		return FieldFault("limit", "want 0 or more, not %d", p.Limit)
	}
	if p.Limit == 0 || p.Limit > most {
		p.Limit = most
	}
	return nil
}

// A List is one page of a collection.
type List[T any] struct {
	Items []T
	// Next is the marker of the page that follows, the id of the last of Items; "" = there is none. Clients get it as a link.
	Next string
}

// Paginate cuts a page out of a whole collection, whose order is to be the same each time. id returns an item's. A marker that is none's id
// is a 400 fault, as in nova.
func Paginate[T any](p Page, all []T, id func(T) string) (List[T], error) {
	if p.Marker != "" {
		at := -1
		for i, item := range all {
			if id(item) == p.Marker {
				at = i
				break
			}
		}
		if at < 0 {
			return List[T]{}, FieldFault("marker", "there is no %q", p.Marker)
		}
		all = all[at+1:]
	}
	if p.Limit <= 0 || len(all) <= p.Limit {
		return List[T]{Items: all}, nil
	}
	all = all[:p.Limit]
	return List[T]{Items: all, Next: id(all[len(all)-1])}, nil
}

// next returns the link to the page that follows, as the member <resource>_links holds it.
func next(r *http.Request, marker string) link {
	query := r.URL.Query()
	query.Set("marker", marker)
	return link{Rel: "next", Href: BaseURL(r) + r.URL.EscapedPath() + "?" + query.Encode()}
}

type link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}
