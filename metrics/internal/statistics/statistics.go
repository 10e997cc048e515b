// Package statistics names and describes the fields of bridge.Stats, for every system of metrics.
package statistics

import (
	"strings"
	"unicode"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// Statistic is a field of bridge.Stats.
type Statistic struct {
	Field   string
	Help    string
	Counter bool // it only grows; otherwise it is a value now
	Value   func(*bridge.Stats) float64
}

// Name returns the field's name in snake case: store_errors of StoreErrors.
func (s Statistic) Name() string {
	var name strings.Builder
	for i, r := range s.Field {
		if unicode.IsUpper(r) && i > 0 {
			name.WriteByte('_')
		}
		name.WriteRune(unicode.ToLower(r))
	}
	return name.String()
}

// All returns the statistics in the order of the fields.
func All() []Statistic {
	return []Statistic{
		gauge("Conns", "Connections that are open now.",
			func(s *bridge.Stats) int { return s.Conns }),
		gauge("Users", "Users with a connection to this process.",
			func(s *bridge.Stats) int { return s.Users }),
		gauge("Attached", "Sessions that this process has seen in use.",
			func(s *bridge.Stats) int { return s.Attached }),
		gauge("Healthy", "1 if this node and the others on the store hear each other, otherwise 0.",
			func(s *bridge.Stats) int { return map[bool]int{true: 1}[s.Healthy] }),
		counter("Writes", "Sessions that were stored.",
			func(s *bridge.Stats) uint64 { return s.Writes }),
		counter("Touches", "Activity that was recorded without another change.",
			func(s *bridge.Stats) uint64 { return s.Touches }),
		counter("Conflicts", "Writes that found the session changed by another writer.",
			func(s *bridge.Stats) uint64 { return s.Conflicts }),
		counter("Reruns", "Functions of WithSession that ran again because of a conflict.",
			func(s *bridge.Stats) uint64 { return s.Reruns }),
		counter("Expired", "Sessions that time ended.",
			func(s *bridge.Stats) uint64 { return s.Expired }),
		counter("StoreErrors", "Calls to the store that failed.",
			func(s *bridge.Stats) uint64 { return s.StoreErrors }),
		counter("FailedCommits", "Responses that were replaced or aborted because the store or the program failed.",
			func(s *bridge.Stats) uint64 { return s.FailedCommits }),
		counter("RefusedCommits", "Responses and saves that were refused because of the client.",
			func(s *bridge.Stats) uint64 { return s.RefusedCommits }),
		counter("Refused", "Session cookies, tokens and tickets that opened nothing.",
			func(s *bridge.Stats) uint64 { return s.Refused }),
		counter("Mismatches", "Sessions that came with another client's cookie.",
			func(s *bridge.Stats) uint64 { return s.Mismatches }),
		counter("ClosedWrites", "Changes of a session after its last commit, which are lost.",
			func(s *bridge.Stats) uint64 { return s.ClosedWrites }),
		counter("SaveFailures", "Sessions of connections that could not be stored when they were to be.",
			func(s *bridge.Stats) uint64 { return s.SaveFailures }),
		counter("Overloaded", "Handshakes that were refused because there were too many at once.",
			func(s *bridge.Stats) uint64 { return s.Overloaded }),
		counter("RateLimited", "Handshakes and new sessions that a rate limit refused.",
			func(s *bridge.Stats) uint64 { return s.RateLimited }),
		counter("TooManyConns", "Connections that a limit per session or address refused.",
			func(s *bridge.Stats) uint64 { return s.TooManyConns }),
		counter("TooFast", "Connections that were closed because of their rate of messages or frames.",
			func(s *bridge.Stats) uint64 { return s.TooFast }),
		counter("TooSlow", "Connections that were closed because their first message did not arrive in time.",
			func(s *bridge.Stats) uint64 { return s.TooSlow }),
		counter("TooLarge", "Connections that were closed because of the size of a message.",
			func(s *bridge.Stats) uint64 { return s.TooLarge }),
		counter("EventsDropped", "Events that a subscriber had no room for.",
			func(s *bridge.Stats) uint64 { return s.EventsDropped }),
		counter("NotifyDropped", "Messages of Notify that a connection had no room for.",
			func(s *bridge.Stats) uint64 { return s.NotifyDropped }),
		counter("RejectionsDropped", "Events about rejected credentials that a subscriber had no room for.",
			func(s *bridge.Stats) uint64 { return s.RejectionsDropped }),
	}
}

func gauge(field, help string, of func(*bridge.Stats) int) Statistic {
	return Statistic{Field: field, Help: help, Value: func(s *bridge.Stats) float64 { return float64(of(s)) }}
}

func counter(field, help string, of func(*bridge.Stats) uint64) Statistic {
	return Statistic{
		Field: field, Help: help, Counter: true,
		Value: func(s *bridge.Stats) float64 { return float64(of(s)) },
	}
}
