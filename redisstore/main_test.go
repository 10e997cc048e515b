package redisstore_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		_ = flag.Set("test.parallel", "16") // more than the number of cores, because the tests mostly wait for servers
	}
	goleak.VerifyTestMain(m, redistest.ClientGoroutines...)
}
