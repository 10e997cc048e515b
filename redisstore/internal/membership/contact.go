package membership

import (
	"time"

	"github.com/sessionbridge/sessionbridge/internal/terms"
	"github.com/sessionbridge/sessionbridge/store"
)

// Contact implements store.Node. A part of the store is a shard.
func (m *Member) Contact() store.Contact {
	var reached time.Time
	for i := range m.answered {
		if at := m.answered[i].Load(); at.After(reached) {
			reached = at
		}
	}
	return store.Contact{Answered: earliest(m.answered), Reached: reached, Heard: earliest(m.heard)}
}

func earliest(times []terms.Instant) (first time.Time) {
	for i := range times {
		if at := times[i].Load(); i == 0 || at.Before(first) {
			first = at
		}
	}
	return first
}
