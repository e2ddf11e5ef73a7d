//go:build linux || darwin

package tree

import "golang.org/x/sys/unix"

// cursor holds the chain of folder handles from the root down to one folder, and
// moves it from folder to folder. Each handle was opened from the one above it
// without following a link, so that no rename or link made meanwhile can lead it
// out of the tree. It is for reading, and for one goroutine.
type cursor struct {
	root  int
	dir   string // folder that the chain leads to, "" for the root
	chain []link
}

// link is one opened folder; its path is the first end bytes of cursor.dir.
type link struct{ fd, end int }

// enter moves to the folder dir and gives its handle, which is good until the next
// call. When a component cannot be opened, the chain stays at the last that could.
func (c *cursor) enter(dir string) (int, error) {
	keep := c.shared(dir)
	for len(c.chain) > keep {
		c.pop()
	}
	at := 0
	if keep > 0 {
		at = c.chain[keep-1].end + 1
	}
	c.dir = dir[:max(at-1, 0)]
	for at < len(dir) {
		end := at
		for end < len(dir) && dir[end] != '/' {
			end++
		}
		fd, err := openFolder(c.fd(), dir[at:end])
		if err != nil {
			return -1, err
		}
		c.chain = append(c.chain, link{fd: fd, end: end})
		c.dir = dir[:end]
		at = end + 1
	}
	return c.fd(), nil
}

// shared counts the handles that lead towards dir too.
func (c *cursor) shared(dir string) int {
	common := 0
	for common < len(dir) && common < len(c.dir) && dir[common] == c.dir[common] {
		common++
	}
	n := 0
	for n < len(c.chain) {
		end := c.chain[n].end
		if end > common || (end < len(dir) && dir[end] != '/') {
			break
		}
		n++
	}
	return n
}

func (c *cursor) fd() int {
	if len(c.chain) == 0 {
		return c.root
	}
	return c.chain[len(c.chain)-1].fd
}

func (c *cursor) pop() {
	last := len(c.chain) - 1
	_ = unix.Close(c.chain[last].fd)
	c.chain = c.chain[:last]
}

// close lets go of every handle but the root's, which is the caller's.
func (c *cursor) close() {
	for len(c.chain) > 0 {
		c.pop()
	}
	c.dir = ""
}
