package keystone

import (
	"container/list"
	"crypto/sha256"
	"sync"
	"time"
)

// A key stands for a token, which cannot be found out from it.
type key [sha256.Size]byte

// keyOf tells tokens apart, and whether they may have expired.
func keyOf(text string, allowExpired bool) key {
	if allowExpired {
		return sha256.Sum256([]byte(text + "\x00expired"))
	}
	return sha256.Sum256([]byte(text))
}

// A cache keeps answers for a while: at most so many, of which the least used goes first.
type cache struct {
	limit int

	mu      sync.Mutex
	entries map[key]*list.Element
	used    list.List // of *entry, the last used in front
}

type entry struct {
	key   key
	token *token // nil = it is invalid
	until time.Time
}

func newCache(limit int) *cache { return &cache{limit: limit, entries: make(map[key]*list.Element)} }

// get returns what was kept. ok is false if nothing was, or the time is over.
func (c *cache) get(k key) (t *token, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, ok := c.entries[k]
	if !ok {
		return nil, false
	}
	e := element.Value.(*entry)
	if !time.Now().Before(e.until) {
		c.remove(element)
		return nil, false
	}
	c.used.MoveToFront(element)
	return e.token, true
}

// put keeps t until then.
func (c *cache) put(k key, t *token, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if element, ok := c.entries[k]; ok {
		c.remove(element)
	}
	c.entries[k] = c.used.PushFront(&entry{k, t, until})
	if c.used.Len() > c.limit {
		c.remove(c.used.Back())
	}
}

func (c *cache) remove(element *list.Element) {
	delete(c.entries, element.Value.(*entry).key)
	c.used.Remove(element)
}
