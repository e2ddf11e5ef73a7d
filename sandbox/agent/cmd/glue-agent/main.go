// Command glue-agent is the agent alone, as small as it can be: what is brought into
// sandboxes in the cloud. On this machine glue-lsp itself is the agent.
package main

import (
	"os"

	"glue-lsp/sandbox/agent"
)

func main() {
	os.Exit(agent.Main(os.Args[1:], os.Stdin, os.Stdout))
}
