package modal

import "syscall"

// packetSocket is a type of socket that keeps messages apart and knows an end, see
// unix(7).
const packetSocket = syscall.SOCK_SEQPACKET
