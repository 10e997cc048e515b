package pgstore_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"

	"github.com/sessionbridge/sessionbridge/internal/pgtest"
)

var (
	// server is for tests that don't stop it. Each uses a schema of its own.
	server pgtest.Shared

	// shared is for the cases of the contract.
	shared common
)

func TestMain(m *testing.M) {
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		_ = flag.Set("test.parallel", "8") // more than the number of cores, because the tests mostly wait for servers
	}
	code := m.Run()
	shared.close()
	server.Stop()
	goleak.VerifyTestMain(finished(code))
}

// finished is a run of the tests that has ended with that code.
type finished int

func (code finished) Run() int { return int(code) }
