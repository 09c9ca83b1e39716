package chart

import (
	"math"
	"strconv"
	"strings"
)

// A scale places values between two pixels.
type scale struct {
	log      bool
	min, max float64 // values
	from, to float64 // pixels
	ticks    []Tick
}

// newScale makes one that reaches from the least to the greatest value, and to the ends of a linear axis in round numbers; so does a logarithmic one
// that has no two of them otherwise.
func newScale(a Axis, least, most, from, to float64) scale {
	s := scale{log: a.Log, min: least, max: most, from: from, to: to, ticks: a.Ticks}
	if !a.Log {
		s.min = 0
		if s.max < math.SmallestNonzeroFloat32 {
			s.max = 1
		}
	} else if s.min == s.max {
		s.min, s.max = s.min/2, s.max*2
	}
	if s.ticks == nil {
		s.ticks = s.round()
		if a.Log && len(s.ticks) < 2 {
			s.min, s.max = stepBelow(s.min), roundStep(s.max)
			s.ticks = s.round()
		}
		if !a.Log {
			s.max = max(s.max, s.ticks[len(s.ticks)-1].At)
		}
	}
	return s
}

func (s scale) at(v float64) float64 {
	if s.log {
		return s.from + (math.Log(v)-math.Log(s.min))/(math.Log(s.max)-math.Log(s.min))*(s.to-s.from)
	}
	return s.from + (v-s.min)/(s.max-s.min)*(s.to-s.from)
}

// has says whether a value lies on the axis, for ticks that others chose.
func (s scale) has(v float64) bool {
	const rounding = 1e-9
	return v >= s.min*(1-rounding) && v <= s.max*(1+rounding)
}

// round chooses some five ticks: 1, 2 or 5 times a power of ten, up to the first that is at or above the greatest value. A logarithmic axis
// has its powers of ten, with twos and fives where there are few.
func (s scale) round() []Tick {
	var ticks []Tick
	if !s.log {
		step := roundStep(s.max / 5)
		for i := 0; ; i++ {
			at := float64(i) * step
			ticks = append(ticks, Tick{at, Number(at)})
			if at >= s.max*(1-1e-9) {
				return ticks
			}
		}
	}
	factors := []float64{1}
	if s.max/s.min < 1000 {
		factors = []float64{1, 2, 5}
	}
	for e := math.Floor(math.Log10(s.min)); e <= math.Ceil(math.Log10(s.max)); e++ {
		for _, f := range factors {
			if at := f * math.Pow(10, e); s.has(at) {
				ticks = append(ticks, Tick{at, Number(at)})
			}
		}
	}
	return ticks
}

// roundStep is the least of 1, 2 or 5 times a power of ten that is not below v.
func roundStep(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{1, 2, 5} {
		if f*power >= v*(1-1e-9) {
			return f * power
		}
	}
	return 10 * power
}

// stepBelow is the greatest of 1, 2 or 5 times a power of ten that is not above v.
func stepBelow(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{5, 2} {
		if f*power <= v*(1+1e-9) {
			return f * power
		}
	}
	return power
}

// Number is a value for people: three significant digits, or all of an integer's, with commas.
func Number(v float64) string {
	if v < 0 {
		return "-" + Number(-v)
	}
	if math.IsInf(v, 0) {
		return "infinite"
	}
	if v >= 999.5 {
		digits := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
		var b strings.Builder
		for i, d := range digits {
			if i > 0 && (len(digits)-i)%3 == 0 {
				b.WriteByte(',')
			}
			b.WriteRune(d)
		}
		return b.String()
	}
	decimals := 0
	for limit := 100.0; decimals < 9 && v < limit && v != 0; limit /= 10 {
		decimals++
	}
	text := strconv.FormatFloat(v, 'f', decimals, 64)
	if decimals > 0 {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}
