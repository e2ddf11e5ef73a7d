//go:build !linux

package agent

import "errors"

func lend([]string) error { return errors.New("only Linux has overlays") }
