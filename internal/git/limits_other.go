//go:build !linux

package git

// apply does nothing where another process's limits cannot be set; there the
// limit on single allocations and the one on wall time remain.
func (l *Limits) apply(int) error { return nil }
