//go:build !linux

package modal

import "syscall"

// packetSocket keeps messages apart; unix sockets of macOS have no SOCK_SEQPACKET.
const packetSocket = syscall.SOCK_DGRAM
