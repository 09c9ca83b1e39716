package bench_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/internal/bench"
)

// conforms: SIM-07
func TestReadSizes(t *testing.T) {
	t.Parallel()
	// As upstream's messages_length.yaml is written.
	got, err := bench.ReadSizes(strings.NewReader("# in bytes, 50 times\n\ntest_data:\n    string_lengths: 806, 992,\n  1116\t7 # more\n[12,\"13\"]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{806, 992, 1116, 7, 12, 13}, got); diff != "" {
		t.Error(diff)
	}
	for text, want := range map[string]string{
		"":              "no sizes",
		"# 1":           "no sizes",
		"1\nsome":       `line 2: "some" is not a size`,
		"-1":            `"-1" is not a size`,
		"1e3":           `"1e3"`,
		"9999999999999": "not a size",
	} {
		if _, err := bench.ReadSizes(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func FuzzReadSizes(f *testing.F) {
	f.Add("test_data:\n  string_lengths: 806, 992")
	f.Add("1\r\n# 2\n\"3\"")
	f.Fuzz(func(t *testing.T, text string) {
		sizes, err := bench.ReadSizes(strings.NewReader(text))
		if (err == nil) != (len(sizes) > 0) {
			t.Fatalf("%d sizes, error %v", len(sizes), err)
		}
		for _, n := range sizes {
			if n < 0 || n > 64<<20 {
				t.Fatalf("a size of %d", n)
			}
		}
	})
}

func TestCargo(t *testing.T) {
	t.Parallel()
	c, err := bench.NewCargo(10, 10, 10, 50)
	if err != nil {
		t.Fatal(err)
	}
	// Three quarters are of 10 bytes, of a thousand texts.
	if m := c.Mean(); m < 17 || m > 23 {
		t.Errorf("mean size %v, want about 20", m)
	}
	for _, sizes := range [][]int{nil, {-1}, {1 << 30}} {
		if _, err := bench.NewCargo(sizes...); err == nil {
			t.Errorf("sizes %v are cargo", sizes)
		}
	}
	if c, err = bench.NewCargo(0); err != nil || c.Mean() != 0 {
		t.Errorf("nothing to carry: %v, %v", c, err)
	}
}

func TestContext(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 5, 10, 40} {
		c, err := bench.Context(n)
		if err != nil {
			t.Fatal(err)
		}
		var members map[string]any
		if err := json.Unmarshal(c.JSON(), &members); err != nil {
			t.Fatal(err)
		}
		delete(members, "client_timeout")
		if len(members) != n {
			t.Errorf("%d members, want %d: %s", len(members), n, c.JSON())
		}
	}
}
