package nearest_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/nearest"
)

// A client may send a word of any length: it is not compared letter by letter with what it cannot be alike.
func TestLongWords(t *testing.T) {
	t.Parallel()
	word, candidates := strings.Repeat("x", 1<<20), make([]string, 2000)
	for i := range candidates {
		candidates[i] = "compute" + strconv.Itoa(i)
	}
	at := time.Now()
	if got, ok := nearest.To(word, candidates); ok || time.Since(at) > 10*time.Second {
		t.Errorf("%q after %v", got, time.Since(at))
	}
}

func TestTo(t *testing.T) {
	t.Parallel()
	topics := []string{"compute", "conductor", "scheduler", "compute1"}
	for _, c := range []struct{ word, want string }{
		{"compuet", "compute"},
		{"Compute", "compute"},
		{"conducter", "conductor"},
		{"compute", "compute1"},
		{"volume", ""},
		{"", ""},
	} {
		got, ok := nearest.To(c.word, topics)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("To(%q) = %q, %v; want %q", c.word, got, ok, c.want)
		}
	}
}

func TestSlip(t *testing.T) {
	t.Parallel()
	groups := []string{"DEFAULT", "oslo_messaging_rabbit"}
	for _, c := range []struct{ word, want string }{
		{"default", "DEFAULT"},
		{"oslo_mesaging_rabit", "oslo_messaging_rabbit"},
		{"oslo_messaging_kafka", ""}, // which To suggests
	} {
		if got, _ := nearest.Slip(c.word, groups); got != c.want {
			t.Errorf("Slip(%q) = %q, want %q", c.word, got, c.want)
		}
	}
}
