package delay

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// sleepUntil waits in the kernel, since a timer of the Go runtime may be a millisecond
// late on a machine that has nothing else to do.
func sleepUntil(t time.Time) {
	for {
		d := time.Until(t)
		if d <= 0 {
			return
		}
		ts := unix.NsecToTimespec(int64(d))
		if err := unix.Nanosleep(&ts, nil); err != nil && !errors.Is(err, unix.EINTR) {
			time.Sleep(d)
		}
	}
}
