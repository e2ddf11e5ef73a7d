// Package sandboxtest is the contract of a sandbox, as tests. Every runtime passes it:
//
//	sandboxtest.Run(t, func(t *testing.T) sandbox.Sandbox { … }, sandboxtest.Caps{…})
//
// The tests know the interface alone: what they need inside they make by commands and
// file operations, so that they run against a sandbox on another machine as well. What
// a runtime cannot do it names in [Caps], and is then held to refuse it properly.
// Sub-tests are named by what they promise, with the numbers of the cases they prove.
//
// It never looks at how a sandbox is made. Start reading at [Run].
package sandboxtest
