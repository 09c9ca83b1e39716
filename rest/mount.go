package rest

import "context"

type mountKey struct{}

// WithMount returns the ctx of a request of which the beginning of the path was taken off, as by a map of paths to APIs (rest/paste) or by a
// proxy: "/v2.1", without a slash at its end. It comes after what was taken off before.
func WithMount(ctx context.Context, prefix string) context.Context {
	return context.WithValue(ctx, mountKey{}, Mount(ctx)+prefix)
}

// Mount returns what was taken off the beginning of the request's path: what the paths of links begin with, before that of
// http.Request.URL. It is "" when nothing was. It is WSGI's SCRIPT_NAME.
func Mount(ctx context.Context) string {
	prefix, _ := ctx.Value(mountKey{}).(string)
	return prefix
}
