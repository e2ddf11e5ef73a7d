package tree

import (
	"sync"
	"time"
)

// Cache remembers the hash of each file by its stat data, across scans, the way
// git's index does. It serves one tree; scans that share it run one after the other.
// Only what was read so long after its last change that another change would show
// in its times is kept, so what it answers is as good as reading.
//
// [Cache.Save] and [LoadCache] keep it in a file.
type Cache struct {
	now func() time.Time // the clock that file times are compared with

	mu    sync.Mutex
	known knowledge
	dirty bool // differs from the file that it was loaded from or saved to
}

// knowledge is what a cache holds. A scan's workers share it; each touches only the
// records of its own paths, and the map changes only between scans.
type knowledge struct {
	format  Format
	round   uint32 // counts scans
	records map[string]*record
}

// record is what is known of one path.
type record struct {
	path string
	stat stat
	hash string
	seen uint32 // round of the last scan that used it
}

// NewCache makes an empty cache.
func NewCache() *Cache {
	return &Cache{now: time.Now, known: knowledge{records: map[string]*record{}}}
}

// begin takes the cache for one scan; hashes of another format are forgotten.
func (c *Cache) begin(f Format) *knowledge {
	c.mu.Lock()
	if c.known.format != f {
		c.known.format = f
		c.known.records = map[string]*record{}
		c.dirty = true
	}
	c.known.round++
	return &c.known
}

func (c *Cache) end() { c.mu.Unlock() }

func (c *Cache) size() int { return len(c.known.records) }

func (c *Cache) learn(records []*record) {
	for _, r := range records {
		c.known.records[r.path] = r
	}
	c.dirty = c.dirty || len(records) > 0
}

// forgetUnseen drops what this round's scan, which saw so many records, did not see.
func (c *Cache) forgetUnseen(seen int) {
	if seen >= len(c.known.records) {
		return
	}
	c.dirty = true
	for path, r := range c.known.records {
		if r.seen != c.known.round {
			delete(c.known.records, path)
		}
	}
}

// pathOf gives path as a string, without a copy if it is known.
func (k *knowledge) pathOf(path []byte) string {
	if r := k.records[string(path)]; r != nil {
		return r.path
	}
	return string(path)
}

func (c *Cache) forget(path string) {
	if _, ok := c.known.records[path]; ok {
		delete(c.known.records, path)
		c.dirty = true
	}
}
