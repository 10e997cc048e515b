package testkit

import (
	"runtime"
	"strings"
)

// Goroutines returns the number of goroutines that bridge and its internal packages have started.
func Goroutines() int {
	buf := make([]byte, 16<<20)
	buf = buf[:runtime.Stack(buf, true)]
	n := 0
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		_, creator, _ := strings.Cut(stack, "created by github.com/sessionbridge/sessionbridge/")
		if strings.HasPrefix(creator, "bridge.") ||
			strings.HasPrefix(creator, "internal/") && !strings.HasPrefix(creator, "internal/testkit") {
			n++
		}
	}
	return n
}
