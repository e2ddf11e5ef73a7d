// Package machine gives each emulated sandbox processes, files and names of its own:
// a bubblewrap with the machine's programs read-only and a private root, in which a
// small first process (see [Main]) starts what it is told over a socket.
package machine
