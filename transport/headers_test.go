package transport_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/goslo/goslo/transport"
)

func TestCheckHeaders(t *testing.T) {
	t.Parallel()
	many := func(n int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m["h"+strconv.Itoa(i)] = ""
		}
		return m
	}
	for name, c := range map[string]struct {
		headers map[string]string
		ok      bool
	}{
		"none":                {nil, true},
		"all characters":      {map[string]string{"a-z_0.9": " ~"[1:] + " !\"\\"}, true},
		"an empty value":      {map[string]string{"a": ""}, true},
		"as long as it may":   {map[string]string{"a": strings.Repeat("b", transport.MaxHeaders-1)}, true},
		"too long":            {map[string]string{"a": strings.Repeat("b", transport.MaxHeaders)}, false},
		"as many as may be":   {many(64), true},
		"too many":            {many(65), false},
		"no name":             {map[string]string{"": "a"}, false},
		"a long name":         {map[string]string{strings.Repeat("a", 256): "a"}, false},
		"a capital letter":    {map[string]string{"A": "a"}, false},
		"a broker's own":      {map[string]string{"x-delay": "a"}, false},
		"the bodies' own":     {map[string]string{"compression": "a"}, false},
		"a blank in front":    {map[string]string{"a": " b"}, false},
		"a blank behind":      {map[string]string{"a": "b "}, false},
		"a line break":        {map[string]string{"a": "b\r\nc"}, false},
		"more than ASCII":     {map[string]string{"a": "ü"}, false},
		"one wrong among two": {map[string]string{"a": "b", "c d": "e"}, false},
	} {
		err := transport.CheckHeaders(c.headers)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, transport.ErrRejected) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
