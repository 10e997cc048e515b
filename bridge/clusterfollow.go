package bridge

import (
	"context"
	"errors"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// newest follows a login, or a new session of a client, on another node, as rebind does it for those of this one; or its end.
func (c *cluster) newest(clientID, id string) {
	b := c.b
	rec, err := b.gateway.Load(context.Background(), id)
	switch {
	case errors.Is(err, ErrSessionMissing):
		if !b.links.HasSession(id) { // otherwise the store tells of the end, and why
			c.ended(id, ReasonDestroyed)
		}
	case err == nil && rec.ClientID == clientID:
		err = c.follow(&rec)
	}
	if err != nil && !errors.Is(err, ErrSessionMissing) {
		b.storeFailed(context.Background(), "follow a client's login on another node", id, err)
	}
}

// follow has the map and the client's connections follow to the session, unless the client has a newer one by now.
func (c *cluster) follow(rec *store.Record) error {
	b := c.b
	if known, ok := b.clients.SessionOf(rec.ClientID); ok && known != rec.ID {
		other, err := b.gateway.Load(context.Background(), known)
		if err != nil && !errors.Is(err, ErrSessionMissing) {
			return err
		}
		if err == nil && other.Began().After(rec.Began()) {
			return nil
		}
	}
	return b.gateway.Report(context.Background(), rec.ID, func(now *store.Record) {
		isInit := b.mapClient(now, true)
		b.rebind(&origin{via: ViaNode}, now)
		b.learn(now)
		switch {
		case !isInit:
			b.tellElsewhere(now, false)
		case b.events.Active():
			b.events.Emit(SessionSet{ClientID: now.ClientID, SessionID: now.ID, UserID: now.UserID, IsInit: true, Via: ViaNode})
		}
	})
}

// announce tells other nodes of a login, a new session, or the end of one, that has been stored here: those that have seen the client.
func (c *cluster) announce(clientID, id string) {
	if c == nil {
		return
	}
	c.b.pools.announcements.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), c.b.opts.StoreTimeout)
		defer cancel()
		if err := c.node.Announce(ctx, clientID, id); err != nil {
			c.b.storeFailed(ctx, "tell other nodes of a login", id, err)
		}
	})
}

// findNewer follows a session that the client has got on another node since then, when nobody here held the client yet.
func (c *cluster) findNewer(clientID string, since time.Time) error {
	if c == nil {
		return nil
	}
	rec, err := c.b.gateway.NewestOfClient(context.Background(), clientID)
	if err == nil && !rec.Began().Before(since.Truncate(time.Millisecond)) { // as records have it
		err = c.follow(&rec)
	}
	if errors.Is(err, ErrSessionMissing) {
		return nil
	}
	return err
}
