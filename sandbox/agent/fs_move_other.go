//go:build !linux

package agent

import "os"

// move renames from to to. Without replace, something at to is an error.
func move(from, to string, replace bool) error {
	if replace {
		return os.Rename(from, to)
	}
	return moveUnlessThere(from, to)
}
