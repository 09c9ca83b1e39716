// Package objects puts oslo.versionedobjects on the wire for Go structs: what nova, cinder and others send as arguments and
// results of their calls, as
//
//	{"nova_object.name": "Flavor", "nova_object.namespace": "nova", "nova_object.version": "1.2",
//	 "nova_object.data": {"id": 7, "description": null}, "nova_object.changes": ["description"]}
//
// An object is a struct whose fields are [Field], [Nullable] or [ReadOnly], and which embeds [Object]. A project has a base of
// its own, as in Python, that says how its objects are marked:
//
//	type Base struct {
//		objects.Object `prefix:"nova_object" namespace:"nova"`
//	}
//
//	type Flavor struct {
//		Base        `version:"1.2"`
//		ID          objects.Field[int64]                  `json:"id"`
//		ExtraSpecs  objects.Field[map[string]string]      `json:"extra_specs"`
//		Description objects.Nullable[string]              `json:"description" since:"1.2"`
//	}
//
//	func (f Flavor) MarshalJSON() ([]byte, error)  { return objects.Marshal(f) }
//	func (f *Flavor) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, f) }
//
// With its two methods it can be an argument, a result, a member of either, or a field of another object. Without them it fails to
// encode, rather than being encoded as something else.
//
// # Tags
//
// On an embedded struct, the outer one's first: version (X.Y or X.Y.Z, required), name (default: the Go type's), prefix
// (upstream's OBJ_SERIAL_NAMESPACE, default versioned_object) and namespace (OBJ_PROJECT_NAMESPACE, default versionedobjects). On a field:
//
//	json            its name on the wire, required
//	since           the version of the object that brought it; older ones do without, see [Backport]
//	default         its default, as JSON; see [SetDefaults]
//	relationships   for objects within, what upstream calls obj_relationships: "1.2=1.0 1.4=1.1", meaning that with 1.2 of this object
//	                came 1.0 of that one, and with 1.4 its 1.1; only for peers that send no versions of the objects within
//
// Embedded structs without Object, such as [Timestamps], add their fields where they stand. A struct that embeds [List] is a list of objects.
//
// # Types of fields
//
//	string, all integers, bool, float32, float64      String, Integer, Boolean, Float; named types of these, too; texts with a form of their own,
//	                                                  such as UUID and MACAddress, are strings and not checked
//	a named string with a method Values() []string    Enum: other values are refused, both ways
//	FlexibleBool, Sensitive                           FlexibleBoolean, SensitiveString
//	time.Time                                         DateTime: whole seconds, 2026-01-02T03:04:05Z
//	netip.Addr, netip.Prefix                          IPAddress, IPNetwork
//	*T, with T an object                              Object
//	[]T, map[string]T                                 List, Set and Dict of any of these
//	[]*T, map[string]*T, with T no object             the same with elements that may be null
//	json.RawMessage                                   anything, kept as it came; objects of several classes, see [Registry.Decode]
//	any other type                                    as encoding/json has it
//
// A received value is coerced as upstream coerces it: "7" is an integer, 7 a string, and any text but "" is true.
//
// # What is received and not declared
//
// A struct may declare the fields that it needs. The others are kept and sent on as they came, with their part of the changes. Only Backport
// refuses such an object: nobody here knows which version brought those fields.
//
// The package owns the representation of objects, and knows neither a bus nor a registry: what it derives from a type's tags it keeps by type. It
// starts no goroutine. Functions may be called concurrently, but not while another goroutine changes the same object.
package objects
