// Package keystone finds out who asks: it validates tokens with Keystone, and makes the request context of it.
//
// Three filters, by the names that an api-paste.ini has for them:
//
//   - authtoken ([Auth.Filter]) validates X-Auth-Token, and X-Service-Token, removes what the client says about itself, and
//     says who it is in headers, as keystonemiddleware does. See docs/authentication.md.
//   - keystonecontext ([Context]) makes the [rest.Context] of those headers.
//   - noauth ([NoAuth]) believes what the token says, user:project. It is for development, in place of the other two.
//
// [Factories] are the three for package rest/paste. Without a file they are functions:
//
//	auth, err := keystone.New(keystone.Config{Options: options.Auth, Logger: logger})
//	...
//	handler = auth.Filter(keystone.Context(keystone.ContextConfig{})(handler))
//
// A request goes on as somebody's only if Keystone said so, at most token_cache_time ago: if it cannot be asked, the answer is 503.
// Tokens are in no error, and in no log; the cache knows their hashes only.
//
// The package starts no goroutines, apart from those of net/http for connections to Keystone, which [Auth.Close] ends; so does
// time, half a minute after the last request. A request that needs Keystone waits for it, and so do those that come with
// the same token meanwhile.
package keystone
