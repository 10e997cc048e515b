package main

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// device is one of a user's sessions, as the user may see it. It contains nothing that opens the
// session.
type device struct {
	ID      string       `json:"id"`   // of the session
	Name    string       `json:"name"` // from the user agent
	Addr    string       `json:"addr"`
	Created time.Time    `json:"created"`
	Seen    time.Time    `json:"seen"` // last activity, to within a minute
	Reads   uint64       `json:"reads"`
	Writes  uint64       `json:"writes"`
	Sockets []socketInfo `json:"sockets"` // the oldest first
}

// socketInfo is an open socket.
type socketInfo struct {
	ID     string    `json:"id"`
	Opened time.Time `json:"opened"`
}

// owner is the owner of devices: a user, or a single session without a user.
type owner struct{ user, client, session string }

func (s *snapshot) owner() owner {
	if s.User != "" {
		return owner{user: s.User}
	}
	return owner{client: s.ClientID, session: s.SessionID}
}

// to addresses all of the owner's sockets.
func (o owner) to() bridge.To { return bridge.To{UserID: o.user, SessionID: o.session} }

// devices returns the owner's devices, the oldest first.
func (a *app) devices(ctx context.Context, of owner) ([]device, error) {
	devices := []device{}
	for info, err := range a.bridge.Sessions(ctx, bridge.Filter{UserID: of.user, ClientID: of.client}) {
		if err != nil {
			return nil, err
		}
		// The client cookie proves nothing, so that other sessions of the client are not shown.
		if of.user == "" && info.ID != of.session {
			continue
		}
		sockets, err := a.sockets(ctx, info.ID)
		if err != nil {
			return nil, err
		}
		devices = append(devices, device{
			ID: info.ID, Name: inWords(info.UserAgent), Addr: info.Addr,
			Created: info.Created, Seen: info.Seen, Reads: info.ReadsHere, Writes: info.Writes, Sockets: sockets,
		})
	}
	slices.SortFunc(devices, func(a, b device) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return devices, nil
}

// sockets returns the session's open sockets, the oldest first.
func (a *app) sockets(ctx context.Context, sessionID string) ([]socketInfo, error) {
	sockets := []socketInfo{}
	for c, err := range a.bridge.Conns(ctx, bridge.ConnFilter{SessionID: sessionID}) {
		if err != nil {
			return nil, err
		}
		sockets = append(sockets, socketInfo{c.ID, c.ConnectedAt})
	}
	slices.SortFunc(sockets, func(a, b socketInfo) int {
		return cmp.Or(a.Opened.Compare(b.Opened), cmp.Compare(a.ID, b.ID))
	})
	return sockets, nil
}
