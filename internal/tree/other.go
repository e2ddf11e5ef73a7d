//go:build !linux && !darwin

package tree

import (
	"context"
	"io"
)

// Scan is not there on this system; the error is [ErrUnsupported].
func Scan(context.Context, string, ScanOptions, *Cache) (ScanResult, error) {
	return ScanResult{}, ErrUnsupported
}

// Put is not there on this system; the error is [ErrUnsupported].
func (c *Cache) Put(string, Entry) error { return ErrUnsupported }

// ReadContent is not there on this system; the error is [ErrUnsupported].
func ReadContent(string, string, Format) (*Content, error) { return nil, ErrUnsupported }

// Root is not there on this system; [OpenRoot] fails.
type Root struct{}

// OpenRoot is not there on this system; the error is [ErrUnsupported].
func OpenRoot(string) (*Root, error) { return nil, ErrUnsupported }

// Close does nothing.
func (r *Root) Close() error { return ErrUnsupported }

// Content is not there on this system; the error is [ErrUnsupported].
func (r *Root) Content(string, Format) (*Content, error) { return nil, ErrUnsupported }

// Lookup is not there on this system; the error is [ErrUnsupported].
func (r *Root) Lookup(string, Format) (Entry, error) { return Entry{}, ErrUnsupported }

// Write is not there on this system; the error is [ErrUnsupported].
func (r *Root) Write(string, Entry, Mode, io.Reader, Format) error { return ErrUnsupported }

// Remove is not there on this system; the error is [ErrUnsupported].
func (r *Root) Remove(string, Entry, Format) error { return ErrUnsupported }

// Sync is not there on this system; the error is [ErrUnsupported].
func (r *Root) Sync() error { return ErrUnsupported }

// NewToken is not there on this system.
func NewToken() string { return "" }

// UseToken does nothing.
func (r *Root) UseToken(string) {}

// Leftover is not there on this system; the error is [ErrUnsupported].
func (r *Root) Leftover(string, string, Entry, Entry, Format, func(*Content) error) error {
	return ErrUnsupported
}
