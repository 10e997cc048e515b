package redistest

import (
	"testing"

	"github.com/sessionbridge/sessionbridge/internal/testkit/faultynet"
)

// Proxy is the network between clients and a server. Its DropPushes drops messages of subscriptions,
// and invalidations of cached keys; replies pass, including those of SUBSCRIBE. It requires RESP3.
type Proxy struct{ *faultynet.Proxy }

// StartProxy starts a proxy in front of a server, which need not run, until the end of the test.
func StartProxy(t testing.TB, s *Server) *Proxy {
	t.Helper()
	return &Proxy{faultynet.Start(t, s.Addr(), func(drops func() bool) faultynet.Pass {
		return (&frames{drops: drops}).pass
	})}
}

// URL returns the URL for redisstore.Open.
func (p *Proxy) URL() string { return "redis://" + p.Addr() }
