package pgstore_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"

	"github.com/sessionbridge/sessionbridge/internal/pgtest"
)

// server is for tests that don't stop it. Each uses a schema of its own.
var server pgtest.Shared

func TestMain(m *testing.M) {
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		_ = flag.Set("test.parallel", "8") // more than the number of cores, because the tests mostly wait for servers
	}
	code := m.Run()
	server.Stop()
	goleak.VerifyTestMain(finished(code))
}

// finished is a run of the tests that has ended with that code.
type finished int

func (code finished) Run() int { return int(code) }
