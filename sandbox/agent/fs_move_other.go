//go:build !linux

package agent

// move renames from to to. Without replace, something at to is an error.
func move(from, to string, replace bool) error {
	if replace {
		return renamePath(from, to)
	}
	return moveUnlessThere(from, to)
}
