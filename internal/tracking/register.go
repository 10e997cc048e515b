package tracking

import (
	"context"
	"errors"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/errorcodes"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/store"
)

// Member is a connection's session, as it is known before the registration. The zero value is none.
type Member struct {
	SessionID, UserID string
	Proved            uint64 // the generation of the token that opened it
	Device            uint64 // the login whose binding to a device was proved
}

// Register registers a connection and then loads its session again: a destroy before the
// registration could not close the connection, a later one does (G5). h is nil for a connection
// without a handshake. opened is called when the connection is registered, before anything may close
// it.
//
// An error before that is one of errorcodes.OfConn; after a later one the connection has been
// abandoned.
func (t *Tracker[L]) Register(ctx context.Context, l L, m Member, h *Handshake, opened func()) (err error) {
	e := t.cfg.Entry(l)
	if t.cfg.Follow && !e.Fixed { // no login cuts it off
		m.Proved = 0
	}
	e.Attach(m.SessionID, m.UserID, m.Proved, m.Device)
	t.cfg.Node.Retain(cluster.Topic{ClientID: e.ClientID})
	evicted, err := t.cfg.Links.AddOrProbe(ctx, l, m.SessionID) // from here on other goroutines may cut it
	if err != nil {
		t.cfg.Node.Release(cluster.Topic{ClientID: e.ClientID})
		return errorcodes.OfConn(err, t.cfg.Limits)
	}
	opened()
	for _, other := range evicted {
		t.cfg.Close(other, replaced)
	}
	safe := false
	defer func() {
		if !safe { // the store has failed, or panicked
			t.cfg.Abandon(l, err)
		}
	}()
	if err = t.cfg.Node.Subscribe(ctx, m.SessionID, e.ClientID); err != nil { // from then on other nodes may cut it
		err = gateway.Unavailable(ctx, "hold the session", err)
	}
	if err == nil && m.SessionID != "" {
		err = t.checkMember(ctx, l, m)
	}
	if err == nil && h != nil {
		err = t.meetNewest(ctx, l, h)
	}
	safe = err == nil
	return err
}

// checkMember cuts the connection off if its session has ended meanwhile, or a login has replaced
// the token.
func (t *Tracker[L]) checkMember(ctx context.Context, l L, m Member) error {
	now, err := t.cfg.Gateway.LoadShared(ctx, m.SessionID) // shared only with loads that begin after the registration
	switch {
	case errors.Is(err, gateway.ErrMissing):
		t.cfg.Lost(l)
		t.cfg.Links.Part(l)
		if !t.cfg.KeepConns {
			t.cfg.Close(l, t.overClose(&now, m.SessionID))
		}
	case err != nil:
		return err
	case registry.ShutOut(m.Proved, now.LoginGeneration), t.lacksDevice(&now, m.Device):
		t.cfg.Links.Part(l)
		t.cfg.Close(l, overtaken)
	default:
		t.Learn(&now)
	}
	return nil
}

// overClose returns how a connection is closed whose session has ended during the handshake. rec is
// the session's record if time has ended it just now.
func (t *Tracker[L]) overClose(rec *store.Record, id string) registry.Close {
	end, _ := t.cfg.Ends.Find(id)
	reason := end.Reason
	if rec.ID == id && rec.Expired(time.Now()) {
		reason = t.cfg.Reason(store.ReasonSwept)
	}
	return registry.Close{Code: t.cfg.CloseCode(reason), Reason: "session ended during the handshake"}
}
