// Package paste reads api-paste.ini, the file in which operators of OpenStack write down what a REST API is made of: which
// filters a request passes, in which order, which application answers, and with which settings. It loads such a file as
// PasteDeploy does, except that the Python names in it mean Go factories, which the program registers:
//
//	handler, err := paste.Config{
//		Path:      "/etc/shop/api-paste.ini",
//		Name:      "shop",
//		Factories: middleware.Factories(options).With(paste.Factories{Apps: map[string]paste.AppFactory{"shop.api:app": newAPI}}),
//	}.App()
//
// What is understood: [app:], [application:], [composite:], [composit:], [pipeline:], [filter:] and [filter-app:] sections; use,
// with the name of another section, egg:Distribution#name, call:module:attribute and config:other.ini#name; paste.app_factory,
// paste.composite_factory, paste.filter_factory and paste.filter_app_factory; set and get, filter-with, next; [DEFAULT] and %(name)s, with here
// and __file__. [server:] sections are passed over: the program serves by itself.
//
// What is wrong is told all at once, each thing with its file and line: an error of this package joins, as [errors.Join] does,
// a *[Problem] each.
//
// The package owns the file's syntax and the way from names to factories. It starts no goroutine and keeps nothing between loads.
package paste
