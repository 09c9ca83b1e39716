package keystone

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestCacheForgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCache(3)
		known := func(texts ...string) {
			t.Helper()
			for _, text := range []string{"a", "b", "c", "d"} {
				got, ok := c.get(keyOf(text, false))
				want := false
				for _, each := range texts {
					want = want || each == text
				}
				if ok != want || ok && got.User.ID != text {
					t.Errorf("%s: %v %v, want it to be kept: %v", text, got, ok, want)
				}
			}
		}
		put := func(text string, lifetime time.Duration) {
			c.put(keyOf(text, false), &token{User: owner{domain: domain{ID: text}}}, time.Now().Add(lifetime))
		}
		put("a", time.Minute)
		put("b", time.Hour)
		put("c", time.Hour)
		known("a", "b", "c") // in this order: c was used last
		put("d", time.Hour)  // in place of a
		known("b", "c", "d")
		put("b", time.Second)
		<-time.After(time.Second)
		known("c", "d")
		<-time.After(time.Hour)
		known()
		if len(c.entries) != 0 || c.used.Len() != 0 {
			t.Errorf("%d entries, %d in order", len(c.entries), c.used.Len())
		}
	})
}

func TestCacheHoldsNoTokens(t *testing.T) {
	t.Parallel()
	c := newCache(3)
	k := keyOf("t0ken-text", true)
	c.put(k, nil, time.Now().Add(time.Hour))
	if keyOf("t0ken-text", false) == k {
		t.Error("a token that may have expired, and one that may not, are the same")
	}
	if bytes.Contains(k[:], []byte("t0ken")) || bytes.Contains(fmt.Appendf(nil, "%+v", c.used.Front().Value), []byte("t0ken")) {
		t.Error("the cache holds a token")
	}
}
