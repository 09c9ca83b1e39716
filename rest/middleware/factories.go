package middleware

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/goslo/goslo/rest"
	"github.com/goslo/goslo/rest/paste"
)

// Config is what the filters of a file need from the program. The zero value has none of the defaults of options: begin with
// [Defaults].
type Config struct {
	// Options are used where a file has no setting of the same name.
	Options Options
	// AuthStrategy chooses among the pipelines of nova, cinder, manila and neutron: their option auth_strategy. Default: "keystone".
	AuthStrategy string
	// NoRateLimit prefers the pipeline of that name with "_nolimit" behind it, as cinder and manila do with api_rate_limit = false.
	NoRateLimit bool
	// Flavor chooses among the pipelines of heat: its option [paste_deploy] flavor. Default: "default".
	Flavor string
	// Trace is what osprofiler stands for: the method HTTP of an observe.Observer. Default: requests are not traced.
	Trace func(http.Handler) http.Handler
	// Logger hears about panics, and requests, where a pipeline has request_log. Default: nothing is logged.
	Logger *slog.Logger
}

// Factories returns the filters of this package, the applications and the composites of Paste and of OpenStack's projects, by their Python names.
// docs/paste.md lists them. Authentication, and the applications themselves, are added by [paste.Factories.With].
func Factories(c Config) paste.Factories {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	f := paste.Factories{}.With()
	oslo := func(class, module, entry string, factory paste.FilterFactory) {
		for _, name := range []string{"oslo_middleware:" + class + ".factory", "oslo_middleware." + module + ":" + class + ".factory", "egg:oslo.middleware#" + entry} {
			f.Filters[name] = factory
		}
	}
	oslo("CORS", "cors", "cors", c.cors)
	f.Filters["oslo_middleware.cors:filter_factory"] = c.cors
	oslo("HTTPProxyToWSGI", "http_proxy_to_wsgi", "http_proxy_to_wsgi", c.proxy)
	oslo("RequestBodySizeLimiter", "sizelimit", "sizelimit", c.limit)
	oslo("RequestId", "request_id", "request_id", plain(rest.RequestID))
	oslo("CatchErrors", "catch_errors", "catch_errors", plain(FaultWrap(c.Logger)))
	oslo("Healthcheck", "healthcheck", "healthcheck", c.healthcheckFilter)
	for name, factory := range map[string]paste.FilterFactory{
		"cinder.api.middleware.request_id:RequestId.factory":     plain(rest.RequestID),
		"nova.api.compute_req_id:ComputeReqIdMiddleware.factory": plain(ComputeRequestID),
		"nova.api.openstack:FaultWrapper.factory":                plain(FaultWrap(c.Logger)),
		"cinder.api.middleware.fault:FaultWrapper.factory":       plain(FaultWrap(c.Logger)),
		"manila.api.middleware.fault:FaultWrapper.factory":       plain(FaultWrap(c.Logger)),
		"nova.api.openstack.requestlog:RequestLog.factory":       plain(RequestLog(c.Logger)),
		"nova.api.openstack:LegacyV2CompatibleWrapper.factory":   plain(LegacyV2),
		"osprofiler.web:WsgiMiddleware.factory":                  c.trace,
		"nova.profiler:WsgiMiddleware.factory":                   c.trace,
		"heat.common.wsgi:filter_factory":                        c.heat,
	} {
		f.Filters[name] = factory
	}
	for _, name := range rateLimits {
		f.Filters[name] = paste.Removed("rates are not limited here, and nova has removed it too: take the filter out of the pipelines, or choose those without (NoRateLimit), and let the proxy in front of the API limit requests")
	}
	for _, name := range []string{"oslo_middleware:Healthcheck.app_factory", "oslo_middleware.healthcheck:Healthcheck.app_factory", "egg:oslo.middleware#healthcheck"} {
		f.Apps[name] = c.healthcheckApp
	}
	c.composites(f.Composites)
	return f
}

// rateLimits are the names that nova's and cinder's and manila's files have had for it.
var rateLimits = []string{
	"nova.api.openstack.ratelimiting:RateLimitingMiddleware.factory",
	"nova.api.openstack.limits:RateLimitingMiddleware.factory",
	"nova.api.openstack.compute.limits:RateLimitingMiddleware.factory",
	"nova.api.openstack.compute.plugins.v3.limits:RateLimitingMiddleware.factory",
	"cinder.api.v1.limits:RateLimitingMiddleware.factory",
	"cinder.api.v2.limits:RateLimitingMiddleware.factory",
	"cinder.api.middleware.rate_limit:RateLimitingMiddleware.factory",
	"manila.api.v1.limits:RateLimitingMiddleware.factory",
	"manila.api.v2.limits:RateLimitingMiddleware.factory",
}

func (c Config) composites(to map[string]paste.CompositeFactory) {
	strategy := cmp.Or(c.AuthStrategy, "keystone")
	pipelines := paste.Choose(strategy)
	limited := pipelines
	if c.NoRateLimit {
		limited = paste.Choose(strategy+"_nolimit", strategy)
	}
	for name, factory := range map[string]paste.CompositeFactory{
		"egg:Paste#urlmap":                            paste.URLMap,
		"paste.urlmap:urlmap_factory":                 paste.URLMap,
		"nova.api.openstack.urlmap:urlmap_factory":    paste.NovaURLMap,
		"nova.api.auth:pipeline_factory":              pipelines,
		"nova.api.auth:pipeline_factory_v21":          pipelines,
		"neutron.auth:pipeline_factory":               pipelines,
		"cinder.api:root_app_factory":                 paste.URLMapWithout("/v1", "/v2"),
		"cinder.api.middleware.auth:pipeline_factory": limited,
		"manila.api:root_app_factory":                 paste.URLMap,
		"manila.api.middleware.auth:pipeline_factory": limited,
		"heat.api:root_app_factory":                   paste.URLMap,
		"heat.api:pipeline_factory":                   paste.Choose(cmp.Or(c.Flavor, "default")),
	} {
		to[name] = factory
	}
}

// plain is the factory of a filter without settings.
func plain(filter func(http.Handler) http.Handler) paste.FilterFactory {
	return func(paste.Settings) (func(http.Handler) http.Handler, error) { return filter, nil }
}

// project is a setting that every file has: whose configuration holds the filter's options. Here that is the program's own.
const project = "oslo_config_project"

func (c Config) cors(s paste.Settings) (func(http.Handler) http.Handler, error) {
	o := c.Options.CORS
	_, named := s.Lookup(project)
	if _, ok := s.Lookup("allowed_origin"); !ok && !named {
		return nil, s.Errorf("the section needs allowed_origin, or %s, which leaves the options to the program's configuration", project)
	}
	s.List("allowed_origin", &o.AllowedOrigin)
	s.List("expose_headers", &o.ExposeHeaders)
	s.List("allow_methods", &o.AllowMethods)
	s.List("allow_headers", &o.AllowHeaders)
	return o.Filter, errors.Join(s.Bool("allow_credentials", &o.AllowCredentials), s.Int("max_age", &o.MaxAge))
}

func (c Config) proxy(s paste.Settings) (func(http.Handler) http.Handler, error) {
	o := c.Options.Middleware.Proxy
	s.Lookup(project)
	return o.Filter, s.Bool("enable_proxy_headers_parsing", &o.EnableProxyHeadersParsing)
}

func (c Config) limit(s paste.Settings) (func(http.Handler) http.Handler, error) {
	o := c.Options.Middleware.Limit
	s.Lookup(project)
	return o.Filter, s.Int("max_request_body_size", &o.MaxRequestBodySize)
}

func (c Config) healthcheck(s paste.Settings) (Healthcheck, error) {
	o := c.Options.Healthcheck
	s.Lookup(project)
	s.Text("path", &o.Path)
	s.List("backends", &o.Backends)
	s.Text("disable_by_file_path", &o.DisableByFilePath)
	s.List("disable_by_file_paths", &o.DisableByFilePaths)
	return o, errors.Join(s.Bool("detailed", &o.Detailed), at(s, "backends", o.checkBackends()), at(s, "disable_by_file_paths", o.checkPaths()))
}

// at is an error about a setting, or about the option that stands for it.
func at(s paste.Settings, name string, err error) error {
	if err == nil {
		return nil
	}
	if found, ok := s.Lookup(name); ok {
		return found.Errorf("%w", err)
	}
	return s.Errorf("[healthcheck] %s: %w", name, err)
}

func (c Config) healthcheckFilter(s paste.Settings) (func(http.Handler) http.Handler, error) {
	o, err := c.healthcheck(s)
	return o.Filter, err
}

func (c Config) healthcheckApp(s paste.Settings) (http.Handler, error) {
	o, err := c.healthcheck(s)
	return o.Handler(), err
}

func (c Config) trace(s paste.Settings) (func(http.Handler) http.Handler, error) {
	on := c.Trace != nil
	if err := s.Bool("enabled", &on); err != nil {
		return nil, err
	}
	if !on || c.Trace == nil {
		return func(next http.Handler) http.Handler { return next }, nil
	}
	return c.Trace, nil
}

// heat's filters are named by a setting of their own.
func (c Config) heat(s paste.Settings) (func(http.Handler) http.Handler, error) {
	named, ok := s.Lookup("heat.filter_factory")
	if !ok {
		return nil, s.Errorf("the section needs heat.filter_factory, which names the filter")
	}
	if strings.TrimSpace(named.Value) != "heat.api.openstack:faultwrap_filter" {
		return nil, named.Errorf("the filter factory %s is not known to this program", named.Value)
	}
	return FaultWrap(c.Logger), nil
}
