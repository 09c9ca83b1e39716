package objects

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// A Version is that of an object: X.Y, or X.Y.Z where Z counts backports to stable branches.
type Version struct{ Major, Minor, Patch int }

// ParseVersion reads X.Y or X.Y.Z.
func ParseVersion(s string) (Version, error) {
	parts := strings.Split(s, ".")
	if len(parts) < 2 || len(parts) > 3 {
		return Version{}, fmt.Errorf("objects: version %q: X.Y or X.Y.Z is wanted", s)
	}
	var n [3]int
	for i, part := range parts {
		v, err := strconv.ParseUint(part, 10, 31)
		if err != nil {
			return Version{}, fmt.Errorf("objects: version %q: X.Y or X.Y.Z is wanted", s)
		}
		n[i] = int(v)
	}
	return Version{n[0], n[1], n[2]}, nil
}

// Compare is negative when v is older than w, and positive when it is newer.
func (v Version) Compare(w Version) int {
	return cmp.Or(cmp.Compare(v.Major, w.Major), cmp.Compare(v.Minor, w.Minor), cmp.Compare(v.Patch, w.Patch))
}

// Before tells whether v is older than X.Y, as a hook asks: target.Before(1, 4).
func (v Version) Before(major, minor int) bool { return v.Compare(Version{major, minor, 0}) < 0 }

// reads tells whether who knows version v can read an object of version w: the same major version, and none that is newer. The third number is
// for additions that do no harm and is not looked at.
func (v Version) reads(w Version) bool { return v.Major == w.Major && v.Minor >= w.Minor }
