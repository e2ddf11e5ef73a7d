//go:build linux || darwin

package tree

import "strings"

// walkBeneath opens the folder dir below root component by component, none of which
// may be a link.
func walkBeneath(root int, dir string) (int, error) {
	c := cursor{root: root}
	defer c.close()
	parent, name := "", dir
	if i := strings.LastIndexByte(dir, '/'); i >= 0 {
		parent, name = dir[:i], dir[i+1:]
	}
	fd, err := c.enter(parent)
	if err != nil {
		return -1, err
	}
	return openFolder(fd, name)
}
