package transporttest

import "testing"

func TestCanonical(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		` { "a" : [ 1 , 1.0 ] } `:               `{"a":[1,1.0]}`,
		`" a\tb "`:                              `" a\u0009b "`,
		`"ü\u00FC\/\"\\"`:                       `"üü/\u0022\u005c"`,
		`"😀\ud83d\ude00\uD83D\ude00"`:           `"😀😀😀"`,
		`"\ud83d \ude00\ud83dx"`:                `"\ud83d \ude00\ud83dx"`,
		`"\\u00fc"`:                             `"\u005cu00fc"`,
		`[NaN,-Infinity,123456789012345678901]`: `[NaN,-Infinity,123456789012345678901]`,
		`"\u12"`:                                `"\u12"`,
	} {
		if got := canonical([]byte(in)); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}
