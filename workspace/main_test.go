package workspace

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == applyAndDie {
		applyInChild(os.Args[2:])
		return
	}
	goleak.VerifyTestMain(m)
}
