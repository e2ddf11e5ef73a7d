// Package emu plays Modal's two planes on loopback, as far as sandboxes need them, so
// that the unmodified SDK can be tested without the cloud: the control plane
// (modal.client.ModalClient) and the command router of each sandbox
// (modal.task_command_router.TaskCommandRouter), both on one port without TLS.
//
// Sandboxes are real processes in namespaces of their own, see package machine. The
// emulator counts calls and billed seconds, and can be told to hurt: see [Faults] and
// the HTTP interface in admin.go.
//
// It is no server for anything but tests: it checks tokens, but it has no TLS, no
// quotas other than those it is told, and forgets everything when it ends.
package emu
