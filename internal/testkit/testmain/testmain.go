package testmain

import (
	"flag"
	"log/slog"
	"testing"

	"go.uber.org/goleak"
)

// Run is the TestMain of a package. It fails if a goroutine is left when the tests have ended, unless it is one
// of another library that is known: each goroutine that a package starts has an owner that waits for it. At
// most eight parallel tests run at a time unless -parallel says otherwise, since they mostly wait. A Bridge
// without a Logger writes nothing.
func Run(m *testing.M, known ...goleak.Option) {
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		_ = flag.Set("test.parallel", "8")
	}
	slog.SetDefault(slog.New(slog.DiscardHandler))
	goleak.VerifyTestMain(m, known...)
}
