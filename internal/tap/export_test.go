package tap

// RoutesOf is for tests of which bindings are of requests.
var RoutesOf = routesOf

// TopicsOf is for tests of how keys are taken apart.
var TopicsOf = topicsOf

// Split is topics' own.
func (k topics) Split(key string) (topic, server string) { return k.split(key) }
