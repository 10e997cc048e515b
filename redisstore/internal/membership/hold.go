package membership

import (
	"context"

	"github.com/sessionbridge/sessionbridge/redisstore/internal/codec"
)

// Items that a node can hold: a session, named kindSession and its member, or a client, named
// kindClient and the member of the client's ID.
const (
	kindSession = "h"
	kindClient  = "k"
)

// item is a session or a client that a node holds.
type item struct {
	shard int
	name  string
}

// storedName returns the name of an item in Redis, which has a client under its score.
func storedName(name string) string {
	if name[:1] != kindClient {
		return name
	}
	id, err := codec.ID(name[1:])
	if err != nil { // impossible: the name was made by codec.Member
		return name
	}
	return kindClient + codec.NumberText(codec.Score(id))
}

// holdsAtOnce is the number of items that a script is asked to hold at once.
const holdsAtOnce = 128

// Hold implements store.Node. An item that no other node holds takes about 200 bytes in Redis.
func (m *Member) Hold(ctx context.Context, sessionID, clientID string) error {
	items := m.items(sessionID, clientID)
	for _, it := range items {
		m.held[it.shard].Begin(it.name)
	}
	err := m.life.Hold(ctx, items)
	for _, it := range items {
		m.held[it.shard].Finish(it.name, err == nil)
	}
	return err
}

// Release implements store.Node.
func (m *Member) Release(ctx context.Context, sessionID, clientID string) error {
	items := m.items(sessionID, clientID)
	for _, it := range items {
		m.held[it.shard].Remove(it.name)
	}
	return m.life.Release(ctx, items)
}

func (m *Member) items(sessionID, clientID string) (items []item) {
	if sessionID != "" {
		items = append(items, m.item(kindSession, sessionID))
	}
	if clientID != "" {
		items = append(items, m.item(kindClient, clientID))
	}
	return items
}

func (m *Member) item(kind, id string) item {
	member := codec.Member(id)
	place := member
	if kind == kindClient {
		place = codec.ClientPlace(id)
	}
	return item{codec.Shard(place, len(m.prefixes)), kind + member}
}
