package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
)

// A Route is one thing that can be done with a resource: an HTTP method and a path below the resource's, or an action, and the
// method of a controller that does it. It is made by Index, Show, Create and the like.
type Route struct {
	method  string // of HTTP; "" = attributes
	suffix  string // of the path, after the resource's
	action  string // the member of the body that names it; "" = it is no action
	status  int
	since   string // microversions, inclusive; "" = the first and the last
	until   string
	creates bool         // the answer has a Location
	answers reflect.Type // of one item; nil = items are none of the resource's
	invalid error        // what New says about it
	serve   func(ctx context.Context, c *call) (any, error)
	extend  func(ctx context.Context, item any) (any, error)
}

// None is the type of a body that there is none of, in a request or an answer.
type None struct{}

// Accepted has the route answer 202: what was asked for happens later, such as behind a cast.
func (r Route) Accepted() Route {
	r.status = http.StatusAccepted
	return r
}

// Since says from which microversion on the route is there.
func (r Route) Since(microversion string) Route {
	r.since = microversion
	return r
}

// Until says which microversion is the last that has the route. A later one may have another route in its place.
func (r Route) Until(microversion string) Route {
	r.until = microversion
	return r
}

// Index answers GET /orders, with {"orders": [...]} and, where there are more, "orders_links". Q is [Page] or a struct that embeds it, with
// one field per parameter, named by its tag query.
func Index[Q, T any](f func(ctx context.Context, query Q) (List[T], error)) Route {
	return collection("", f)
}

// Detail answers GET /orders/detail, as Index with more about each item.
func Detail[Q, T any](f func(ctx context.Context, query Q) (List[T], error)) Route {
	return collection("/detail", f)
}

func collection[Q, T any](suffix string, f func(ctx context.Context, query Q) (List[T], error)) Route {
	return Route{
		method: http.MethodGet, suffix: suffix, status: http.StatusOK, answers: reflect.TypeFor[T](), invalid: checkQuery[Q](),
		serve: func(ctx context.Context, c *call) (any, error) {
			query, err := decodeQuery[Q](c)
			if err != nil {
				return nil, err
			}
			list, err := f(ctx, query)
			if err != nil {
				return nil, err
			}
			items := make([]json.RawMessage, len(list.Items))
			for i, item := range list.Items {
				if items[i], err = c.item(ctx, item); err != nil {
					return nil, err
				}
			}
			body := map[string]any{c.resource.plural: items}
			if list.Next != "" {
				body[c.resource.plural+"_links"] = []link{next(c.request, list.Next)}
			}
			return body, nil
		},
	}
}

// Show answers GET /orders/{id}, with {"order": {...}}.
func Show[T any](f func(ctx context.Context, id string) (T, error)) Route {
	return Route{
		method: http.MethodGet, suffix: "/{id}", status: http.StatusOK, answers: reflect.TypeFor[T](),
		serve: func(ctx context.Context, c *call) (any, error) {
			item, err := f(ctx, c.id())
			if err != nil {
				return nil, err
			}
			return c.wrapped(ctx, item)
		},
	}
}

// Create answers POST /orders. The body is {"order": {...}} with the members of B, see [Decode]; the answer is {"order": {...}} of what was
// made, 201, and Location when it has a member id.
func Create[B, T any](f func(ctx context.Context, body B) (T, error)) Route {
	return Route{
		method: http.MethodPost, status: http.StatusCreated, creates: true, answers: reflect.TypeFor[T](),
		serve: func(ctx context.Context, c *call) (any, error) {
			body, err := decodeWrapped[B](c)
			if err != nil {
				return nil, err
			}
			item, err := f(ctx, body)
			if err != nil {
				return nil, err
			}
			return c.wrapped(ctx, item)
		},
	}
}

// Update answers PUT /orders/{id}, with a body as Create's and what it was changed into.
func Update[B, T any](f func(ctx context.Context, id string, body B) (T, error)) Route {
	return Route{
		method: http.MethodPut, suffix: "/{id}", status: http.StatusOK, answers: reflect.TypeFor[T](),
		serve: func(ctx context.Context, c *call) (any, error) {
			body, err := decodeWrapped[B](c)
			if err != nil {
				return nil, err
			}
			item, err := f(ctx, c.id(), body)
			if err != nil {
				return nil, err
			}
			return c.wrapped(ctx, item)
		},
	}
}

// Delete answers DELETE /orders/{id}, with 204.
func Delete(f func(ctx context.Context, id string) error) Route {
	return Route{
		method: http.MethodDelete, suffix: "/{id}", status: http.StatusNoContent,
		serve: func(ctx context.Context, c *call) (any, error) { return None{}, f(ctx, c.id()) },
	}
}

// Action answers POST /orders/{id}/action with the body {"name": {...}}, whose members are those of A; null is {}. The answer is 202
// without a body.
func Action[A any](name string, f func(ctx context.Context, id string, args A) error) Route {
	r := ActionResult(name, func(ctx context.Context, id string, args A) (None, error) { return None{}, f(ctx, id, args) })
	return r.Accepted()
}

// ActionResult is Action with an answer: 200, and R as it is.
func ActionResult[A, R any](name string, f func(ctx context.Context, id string, args A) (R, error)) Route {
	return Route{
		method: http.MethodPost, suffix: "/{id}/action", action: name, status: http.StatusOK,
		serve: func(ctx context.Context, c *call) (any, error) {
			args, err := decodeAction[A](c, name)
			if err != nil {
				return nil, err
			}
			return f(ctx, c.id(), args)
		},
	}
}

// Member answers GET /orders/{id}/name, with R as it is.
func Member[R any](name string, f func(ctx context.Context, id string) (R, error)) Route {
	return Route{
		method: http.MethodGet, suffix: "/{id}/" + name, status: http.StatusOK,
		serve: func(ctx context.Context, c *call) (any, error) { return f(ctx, c.id()) },
	}
}

// MemberPost answers POST /orders/{id}/name, with B as the body and R as the answer, both as they are. They may be [None].
func MemberPost[B, R any](name string, f func(ctx context.Context, id string, body B) (R, error)) Route {
	return Route{
		method: http.MethodPost, suffix: "/{id}/" + name, status: http.StatusOK,
		serve: func(ctx context.Context, c *call) (any, error) {
			body, err := decodeBody[B](c)
			if err != nil {
				return nil, err
			}
			return f(ctx, c.id(), body)
		},
	}
}

// Collection answers GET /orders/name, with R as it is. Q is as Index's, or [None].
func Collection[Q, R any](name string, f func(ctx context.Context, query Q) (R, error)) Route {
	return Route{
		method: http.MethodGet, suffix: "/" + name, status: http.StatusOK, invalid: checkQuery[Q](),
		serve: func(ctx context.Context, c *call) (any, error) {
			query, err := decodeQuery[Q](c)
			if err != nil {
				return nil, err
			}
			return f(ctx, query)
		},
	}
}

// CollectionPost answers POST /orders/name, with B as the body and R as the answer, both as they are. They may be [None].
func CollectionPost[B, R any](name string, f func(ctx context.Context, body B) (R, error)) Route {
	return Route{
		method: http.MethodPost, suffix: "/" + name, status: http.StatusOK,
		serve: func(ctx context.Context, c *call) (any, error) {
			body, err := decodeBody[B](c)
			if err != nil {
				return nil, err
			}
			return f(ctx, body)
		},
	}
}

// Attributes adds members to every item of type T that the resource answers with, wherever it does: those of X, such as
// `json:"OS-EXT-SRV-ATTR:host"`. It runs once per item, so it had better have what it needs at hand. It is for [Extend].
func Attributes[T, X any](f func(ctx context.Context, item T) (X, error)) Route {
	return Route{
		answers: reflect.TypeFor[T](),
		extend: func(ctx context.Context, item any) (any, error) {
			t, _ := item.(T) // extend is called with no other type
			return f(ctx, t)
		},
	}
}
