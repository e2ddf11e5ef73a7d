//go:build !linux

package main

// hideLandlock has nothing to hide.
func hideLandlock() {}
