package wire_test

import (
	"testing"

	"github.com/goslo/goslo/wire"
)

func TestCompatible(t *testing.T) {
	t.Parallel()
	tests := []struct {
		implemented, requested string
		want                   bool
	}{
		// conforms: VER-01
		{"", "1.0", true},
		{"", "", true},
		{"", "no version", true},
		// conforms: VER-02
		{"1.0", "", false},
		{"no version", "", false},
		// conforms: VER-03
		{"1.2.3", "1.2.3.4", true},
		{"1.2.3.4", "1.2.3.5", true},
		{"1.2.3.x", "1.2.3.y.z", true},
		{"1.0", "1.0.0", true},
		{"1.0.0", "1.0", true},
		// conforms: VER-04, VER-05
		{"1.23", "1.23", true},
		{"1.24", "1.23", true},
		{"1.22", "1.23", false},
		{"2.23", "1.23", false},
		{"1.23", "2.23", false},
		{"1.23", "1.23.1", false},
		{"1.23.1", "1.23.2", false},
		{"1.23.2", "1.23.1", true},
		{"1.24", "1.23.1", true},
		{"1.23.0", "1.23", true},
		// As numbers, not as text, and of any size.
		{"1.10", "1.9", true},
		{"1.9", "1.10", false},
		{"1.99999999999999999999999", "1.99999999999999999999998", true},
		{"99999999999999999999999.0", "99999999999999999999998.0", false},
		// What int() takes.
		{"01.002", "1.2", true},
		{" 1 . +2 ", "1.1_0", false},
		{"1.1_0", "1.9", true},
		{"-0.0", "0.-0", true},
		{"1.0", "1.-1", true},
		{"1.-2", "1.-1", false},
		{"1.-1", "1.-2", true},
		{"1.0", "-1.0", false},
		// Only the parts that decide are read.
		{"1.0", "2", false},
		{"1.0", "2.x", false},
		{"1.2", "1.1.x", true},
		{"1.1", "1.2.x", false},
	}
	for _, test := range tests {
		got, err := wire.Compatible(test.implemented, test.requested)
		if got != test.want || err != nil {
			t.Errorf("Compatible(%q, %q) = %t, %v, want %t", test.implemented, test.requested, got, err, test.want)
		}
	}
}

func TestCompatibleRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ implemented, requested, want string }{
		{"1.0", "1", `wire: requested version "1" has no minor part: write it as major.minor`},
		{"1", "1.0", `wire: implemented version "1" has no minor part: write it as major.minor`},
		{"1.0", "x", `wire: requested version "x": part "x" is not a whole number`},
		{"x.0", "1.0", `wire: implemented version "x.0": part "x" is not a whole number`},
		{"1.0", "1.a", `wire: requested version "1.a": part "a" is not a whole number`},
		{"1.0", "1.0.a", `wire: requested version "1.0.a": part "a" is not a whole number`},
		{"1.0.", "1.0.1", `wire: implemented version "1.0.": part "" is not a whole number`},
		{"1.0", "1._0", `wire: requested version "1._0": part "_0" is not a whole number`},
		{"1.0", "1.0_", `wire: requested version "1.0_": part "0_" is not a whole number`},
		{"1.0", "1.1__0", `wire: requested version "1.1__0": part "1__0" is not a whole number`},
		{"1.0", "1.+", `wire: requested version "1.+": part "+" is not a whole number`},
		{"1.0", "1.\u0661", `wire: requested version "1.١": part "١" is not a whole number`},
	}
	for _, test := range tests {
		got, err := wire.Compatible(test.implemented, test.requested)
		if got || err == nil || err.Error() != test.want {
			t.Errorf("Compatible(%q, %q) = %t\n got %v\nwant %s", test.implemented, test.requested, got, err, test.want)
		}
	}
}
