package middleware

// Options are those of oslo.middleware, under the names that they have in configuration files. A program adds them to its own by
// embedding the struct.
type Options struct {
	CORS        CORS        `config:"cors" help:"Which web pages of other origins may use the API."`
	Middleware  Middleware  `config:"oslo_middleware" help:"Filters of the API."`
	Healthcheck Healthcheck `config:"healthcheck" help:"What load balancers ask."`
}

// Middleware are the options of [oslo_middleware].
type Middleware struct {
	Proxy
	Limit
}

// Defaults returns the options of a program whose configuration says nothing of them.
func Defaults() Options {
	return Options{
		CORS: CORS{
			AllowCredentials: true,
			MaxAge:           3600,
			AllowMethods:     []string{"OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "PATCH"},
		},
		Middleware:  Middleware{Limit: Limit{MaxRequestBodySize: 114688}},
		Healthcheck: Healthcheck{Path: "/healthcheck"},
	}
}
