// Package tree reads and writes directory trees safely. It is the only code that
// walks a working tree, hashes its files or writes into one, on the host and
// inside a sandbox alike.
//
// A tree is described the way git describes it: slash-separated paths of raw
// bytes, git's three modes and git's blob hashes, so that a scan can be compared
// with a commit without either side running git.
//
// It never runs a program, never follows a symbolic link, never maps a file into
// memory and never trusts a path. Start reading at [Entry], then [Scan] (reading)
// and [Root] (writing). [Cache] makes the second time cheap; [Matcher]
// decides by gitignore rules.
package tree
