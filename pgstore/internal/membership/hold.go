package membership

import (
	"context"

	"github.com/sessionbridge/sessionbridge/pgstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/store"
)

// Kinds of what a node can hold.
const (
	kindSession = "s"
	kindClient  = "c"
	kindKept    = "k" // the messages that are kept for a session or a user, by codec.Topic
)

// item is a session, a client or a log of kept messages that a node holds.
type item struct{ kind, id string }

// itemsAtOnce is the number of items that a statement holds or releases at once.
const itemsAtOnce = 256

// Hold implements store.Node.
func (m *Member) Hold(ctx context.Context, sessionID, clientID string) error {
	items := itemsOf(sessionID, clientID)
	for _, it := range items {
		m.held.Begin(it)
	}
	err := m.life.Hold(ctx, items)
	for _, it := range items {
		m.held.Finish(it, err == nil)
	}
	return err
}

// Release implements store.Node.
func (m *Member) Release(ctx context.Context, sessionID, clientID string) error {
	items := itemsOf(sessionID, clientID)
	for _, it := range items {
		m.held.Remove(it)
	}
	return m.life.Release(ctx, items)
}

// itemsOf returns what PostgreSQL can store of the session and the client. There are no changes of
// others.
func itemsOf(sessionID, clientID string) (items []item) {
	client := item{kindClient, clientID}
	if to, ok := store.KeptTopic(clientID); ok {
		client = item{kindKept, codec.Topic(to)}
	}
	for _, it := range []item{{kindSession, sessionID}, client} {
		if it.id != "" && codec.Text(it.id) {
			items = append(items, it)
		}
	}
	return items
}
