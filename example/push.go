package main

import (
	"context"
	"errors"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// push is a message that nobody has asked for.
type push struct {
	Event     string      `json:"event"`            // set, open or close
	Via       bridge.Via  `json:"via,omitempty"`    // set: the way that the change came
	Keys      []string    `json:"keys,omitempty"`   // set: what has changed
	Socket    *socketInfo `json:"socket,omitempty"` // open, close
	Code      int         `json:"code,omitempty"`   // close: the close code, -1 for none
	*snapshot             // set: the session now
}

// pushEvents tells the client what happens to its session, as long as the socket is part of it.
func (s *socket) pushEvents(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case ev, ok := <-s.seen.events:
			if !ok {
				_ = s.conn.Close(bridge.CodeUnavailable, "too slow")
				return
			}
			if s.pushEvent(ctx, ev) != nil {
				return
			}
		}
	}
}

func (s *socket) pushEvent(ctx context.Context, ev bridge.Event) error {
	if s.conn.SessionID() != s.seen.sessionID {
		return bridge.ErrSessionMissing // a login or a logout has cut the socket off: it will be closed
	}
	var message push
	switch ev := ev.(type) {
	case bridge.SessionSet:
		now, err := apply(ctx, s.conn, look)
		if errors.Is(err, bridge.ErrStoreUnavailable) { // what the client has would be out of date: it shall come back
			_ = s.conn.Close(bridge.CodeUnavailable, "session store unavailable")
		}
		if err != nil {
			return err
		}
		message = push{Event: "set", Via: ev.Via, Keys: ev.Keys, snapshot: &now}
	case bridge.ConnOpen:
		message = push{Event: "open", Socket: &socketInfo{ev.ConnID, time.Now().UTC()}}
	case bridge.ConnClose:
		message = push{Event: "close", Socket: &socketInfo{ID: ev.ConnID}, Code: ev.Code}
	}
	return s.conn.WriteJSON(ctx, message)
}
