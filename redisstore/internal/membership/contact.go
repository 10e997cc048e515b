package membership

import (
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// Contact implements store.Node. A part of the store is a shard.
func (m *Member) Contact() store.Contact {
	var reached time.Time
	for i := range m.answered {
		if at := m.answered[i].load(); at.After(reached) {
			reached = at
		}
	}
	return store.Contact{Answered: earliest(m.answered), Reached: reached, Heard: earliest(m.heard)}
}
