package bridge_test

import (
	"github.com/sessionbridge/sessionbridge/bridge"
)

// values returns all values of a session.
func values(s *bridge.Session) map[string]any {
	all := make(map[string]any)
	for key := range s.Keys() {
		all[key], _ = s.Get(key)
	}
	return all
}
