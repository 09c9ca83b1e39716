package objects

import (
	"fmt"
	"reflect"
	"strings"
)

// An UnknownError says that what was received is no object, or not the one that is wanted. Upstream's class for it is
// oslo_versionedobjects.exception.UnsupportedObjectError.
type UnknownError struct {
	Namespace string // of what was received; "" when it is no object of that prefix at all
	Name      string
	Want      string // namespace.name of the object that is wanted; "" = any of a registry
	Prefix    string // of the members' names
}

func (e *UnknownError) Error() string {
	want := "an object that is registered"
	if e.Want != "" {
		want = e.Want
	}
	if e.Name == "" {
		return fmt.Sprintf("objects: %s is wanted, and there is no member %q", want, e.Prefix+".name")
	}
	return fmt.Sprintf("objects: %s is wanted, not %s.%s", want, e.Namespace, e.Name)
}

// RemoteClass returns upstream's class of the failure, as which a caller in another process sees it.
func (*UnknownError) RemoteClass() (module, name string) {
	return upstream, "UnsupportedObjectError"
}

// upstream is the module of the classes.
const upstream = "oslo_versionedobjects.exception"

// A VersionError says that an object is too new, or of another major version. A service that serves old and new peers has
// it backported: see [Registry.Receive]. Upstream's class for it is oslo_versionedobjects.exception.IncompatibleObjectVersion.
type VersionError struct {
	Object    string // its name
	Version   string // as received, or as asked for
	Supported string // the version known here
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("objects: version %q of %s is not supported, the version known here is %s: "+
		"have it backported with Registry.Receive, or upgrade this service", e.Version, e.Object, e.Supported)
}

// RemoteClass returns upstream's class of the failure, as which a caller in another process sees it.
func (*VersionError) RemoteClass() (module, name string) {
	return upstream, "IncompatibleObjectVersion"
}

// A TargetError says that an object cannot be written at an older version.
type TargetError struct {
	Object string
	Target string // the version asked for
	Reason string
}

func (e *TargetError) Error() string {
	return fmt.Sprintf("objects: %s cannot be written at version %q: %s", e.Object, e.Target, e.Reason)
}

// A FieldError says which field of an object is wrong. It never quotes the value, unless the value's own method UnmarshalJSON or
// UnmarshalText does.
type FieldError struct {
	Object string
	Field  string // "" = the object itself
	Cause  error
}

func (e *FieldError) Error() string {
	where := e.Object
	if e.Field != "" {
		where += "." + e.Field
	}
	return "objects: " + where + ": " + strings.ReplaceAll(e.Cause.Error(), "objects: ", "")
}

// Unwrap returns the cause: a *VersionError or *UnknownError of an object within, for example.
func (e *FieldError) Unwrap() error { return e.Cause }

// A TypeError says what is wrong with the declaration of an object. It is a mistake in the program.
type TypeError struct {
	Type   reflect.Type
	Field  string // the Go field; "" = the struct
	Reason string
}

func (e *TypeError) Error() string {
	where := e.Type.String()
	if e.Field != "" {
		where += "." + e.Field
	}
	return "objects: " + where + ": " + e.Reason
}
