package compare_test

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// An estimate is a median, and the ends of its interval of confidence.
type estimate struct{ Median, Low, High float64 }

// estimated is the median of values and an interval that holds the true one with at least 95 % confidence: of all pairs of
// order statistics that are as far from both ends, the narrowest that does. It supposes nothing but that values are independent and from
// one distribution. Fewer than six values cannot do it: then it is the lowest and the highest.
func estimated(values []float64) estimate {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return estimate{math.NaN(), math.NaN(), math.NaN()}
	}
	n := cut(len(sorted))
	return estimate{median(sorted), sorted[n], sorted[len(sorted)-1-n]}
}

// cut is how many of n values may be left out at either end.
func cut(n int) int {
	cut := 0
	for confidence(n, cut+1) >= 0.95 {
		cut++
	}
	return cut
}

// confidence is how probable it is that the median of a distribution lies between the values of a sample that are left when so many are cut
// off at either end.
func confidence(n, cut int) float64 {
	if 2*cut >= n {
		return 0
	}
	outside, ways := 0.0, 1.0 // ways to have so many values above the median
	for i := range cut + 1 {
		outside += ways
		ways = ways * float64(n-i) / float64(i+1)
	}
	return 1 - 2*outside/math.Exp2(float64(n))
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return math.NaN()
	}
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// ratios are a's values by b's, round by round, where b has one.
func ratios(a, b []float64) []float64 {
	var out []float64
	for i := range min(len(a), len(b)) {
		if b[i] > 0 {
			out = append(out, a[i]/b[i])
		}
	}
	return out
}

func TestEstimated(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		want   estimate
	}{
		{[]float64{3}, estimate{3, 3, 3}},
		{[]float64{5, 1, 4, 2, 3}, estimate{3, 1, 5}},
		{[]float64{8, 7, 6, 5, 4, 3, 2, 1}, estimate{4.5, 1, 8}},
		{[]float64{9, 100, 7, 6, 5, 4, 3, 2, 1}, estimate{5, 2, 9}},
	} {
		if diff := cmp.Diff(c.want, estimated(c.values)); diff != "" {
			t.Errorf("estimated(%v), -want +got:\n%s", c.values, diff)
		}
	}
}

// Tables of the sign test have these.
func TestConfidence(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		n, cut int
		want   float64
	}{{5, 0, 0.9375}, {6, 0, 0.96875}, {9, 1, 0.9609375}, {8, 1, 0.9296875}, {12, 2, 0.9614257812}} {
		if got := confidence(c.n, c.cut); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("confidence(%d, %d) = %v, want %v", c.n, c.cut, got, c.want)
		}
	}
}
