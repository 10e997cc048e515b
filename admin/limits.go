package admin

import (
	"net/http"

	"github.com/sessionbridge/sessionbridge/internal/allowance"
)

// limits count requests.
type limits struct {
	keys     map[string]*allowance.Pace
	addrs    *allowance.Limit
	failures *allowance.Limit // of requests without a valid key
}

func newLimits(s *settings) *limits {
	l := &limits{
		keys:     make(map[string]*allowance.Pace),
		addrs:    allowance.NewLimit("Options.AddrRate", s.AddrRate, int(max(1, s.AddrRate))),
		failures: allowance.NewLimit("requests without a valid key", 1.0/3, 20),
	}
	for _, k := range s.Keys {
		l.keys[k.Name] = allowance.NewPace(s.KeyRate, 0)
	}
	return l
}

// key counts a request with the key, and reports whether it is within the limit.
func (l *limits) key(name string) bool { return l.keys[name].Allow() }

// addr is like key, for a request from an address.
func (l *limits) addr(remote string) bool { return l.addrs.TakeAddr(hostOf(remote)) == nil }

// failure is like addr, for a request without a valid key.
func (l *limits) failure(remote string) bool { return l.failures.TakeAddr(hostOf(remote)) == nil }

func tooMany(detail string) error {
	return &problem{Status: http.StatusTooManyRequests, Detail: detail}
}
