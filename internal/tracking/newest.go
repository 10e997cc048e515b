package tracking

import (
	"context"
	"errors"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// rebind parts the client's older connections from their sessions at once, and has them closed
// after a while. With Config.Follow it moves them to the new session.
func (t *Tracker[L]) rebind(rec *store.Record) (parted []L) {
	if t.cfg.Follow {
		return t.follow(rec)
	}
	parted = t.cfg.Links.PartOlder(rec)
	t.reconnect(parted)
	return parted
}

// reconnect has connections that were parted from their sessions closed after a while.
func (t *Tracker[L]) reconnect(parted []L) {
	for _, l := range parted {
		t.cfg.Postpone(l, Reconnect, false, rebindGrace)
	}
}

// follow moves all connections of the client to its session, and closes those beyond the limit
// there. It returns those that stay, which it has closed after a while.
func (t *Tracker[L]) follow(rec *store.Record) (parted []L) {
	parted, tooMany := t.cfg.Links.Follow(rec.ClientID, rec.ID)
	t.reconnect(parted)
	t.Learn(rec)
	t.cfg.Node.SubscribeSoon(cluster.Topic{SessionID: rec.ID})
	for _, l := range tooMany {
		t.cfg.Close(l, TooMany)
	}
	return parted
}

// followNewest attaches the client and its connections to the session, which another node has
// stored, unless the client has a newer one by now.
func (t *Tracker[L]) followNewest(rec *store.Record) error {
	if known, ok := t.cfg.Clients.SessionOf(rec.ClientID); ok && known != rec.ID {
		other, err := t.cfg.Gateway.Load(context.Background(), known)
		if err != nil && !errors.Is(err, gateway.ErrMissing) {
			return err
		}
		if err == nil && other.Began().After(rec.Began()) {
			return nil
		}
	}
	return t.cfg.Gateway.Report(context.Background(), rec.ID, func(now *store.Record) {
		isInit := t.attach(now, true)
		t.rebind(now)
		t.Learn(now)
		if isInit {
			t.stored(now, Stored{IsInit: true})
		} else {
			t.reportElsewhere(now, false)
		}
	})
}

// findNewer follows a session that the client has got on another node since then, before this node
// was subscribed to the client.
func (t *Tracker[L]) findNewer(clientID string, since time.Time) error {
	if t.cfg.Node == nil {
		return nil
	}
	rec, err := t.cfg.Gateway.NewestOfClient(context.Background(), clientID)
	if err == nil && !rec.Began().Before(since.Truncate(time.Millisecond)) { // the precision of records
		err = t.followNewest(&rec)
	}
	if errors.Is(err, gateway.ErrMissing) {
		return nil
	}
	return err
}

// Handshake is what a connection that has just been registered has come with.
type Handshake struct {
	SessionID    string // also of a session that isn't stored
	Began        time.Time
	NewestBefore string // the client's newest session when it began, as far as was known here
}

// meetNewest handles a session that the client has got during the handshake, before the connection
// was registered: the connection follows to it, or is cut off.
//
// A connection without a session is sent back if its client has got one a moment ago: the response
// with the cookies may still be on its way, and the page doesn't notice its arrival. It is closed
// when the session's age has doubled, so this happens a few times at most.
func (t *Tracker[L]) meetNewest(ctx context.Context, l L, h *Handshake) error {
	clientID := t.cfg.Entry(l).ClientID
	if t.sessionOf(l) == "" { // otherwise its session's subscription reports a login
		since := h.Began
		if t.cfg.Follow { // any session of the client will do
			since = time.Time{}
		}
		if err := t.findNewer(clientID, since); err != nil {
			return err
		}
	}
	newest, ok := t.cfg.Clients.SessionOf(clientID)
	if !ok && t.cfg.Follow && t.cfg.Node == nil && t.sessionOf(l) == "" { // this process may have forgotten it
		rec, err := t.cfg.Gateway.NewestOfClient(ctx, clientID)
		if err != nil && !errors.Is(err, gateway.ErrMissing) {
			return err
		}
		newest, ok = rec.ID, err == nil
	}
	switch {
	case !ok || newest == h.SessionID:
		return nil
	case t.cfg.Follow:
	case newest != h.NewestBefore:
		if t.cfg.Links.PartOutsider(l) {
			t.cfg.Close(l, overtaken)
		}
		return nil
	case t.sessionOf(l) != "":
		return nil
	}
	rec, err := t.cfg.Gateway.LoadShared(ctx, newest)
	switch age := time.Since(rec.Began()); {
	case errors.Is(err, gateway.ErrMissing):
	case err != nil:
		return err
	case t.cfg.Follow:
		t.follow(&rec)
	case age < rebindGrace && t.cfg.Links.MayAwait(&rec):
		t.cfg.Postpone(l, Reconnect, false, max(age, RebindDelay))
	}
	return nil
}

func (t *Tracker[L]) sessionOf(l L) string {
	id, _ := t.cfg.Links.SessionOf(t.cfg.Entry(l))
	return id
}
