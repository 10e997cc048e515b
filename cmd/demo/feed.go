package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// feed reports changes to sockets: changes of a session to the session's sockets, and the list of
// devices to the sockets of its user. Bridge.Notify finds the sockets, and doesn't wait for them. A
// feed is used by one goroutine and needs no lock.
type feed struct {
	app    *app
	owners map[string]owner   // by session ID: a session that has ended can't be looked up
	stale  map[owner]struct{} // owners whose list of devices has changed
}

// push is a message that isn't an answer.
type push struct {
	Event     string     `json:"event"`             // set, open, close, devices, notify or over
	Via       bridge.Via `json:"via,omitempty"`     // set: how the change was made
	Keys      []string   `json:"keys,omitempty"`    // set: the changed keys
	Socket    string     `json:"socket,omitempty"`  // open, close: its ID
	Code      int        `json:"code,omitempty"`    // close: the close code, -1 for none
	Devices   []device   `json:"devices,omitempty"` // devices: all of them
	Text      string     `json:"text,omitempty"`    // notify: the text; over: why the session has ended
	From      string     `json:"from,omitempty"`    // notify: the sender's device
	*snapshot            // set: the current session
}

// bytes returns the message as it is sent.
func (p push) bytes() []byte {
	data, _ := json.Marshal(p) // can't fail for this type
	return data
}

func newFeed(a *app) *feed {
	return &feed{app: a, owners: make(map[string]owner), stale: make(map[owner]struct{})}
}

// run processes events until the channel is closed. It lists devices once for all pending events.
func (f *feed) run(events <-chan bridge.Event) {
	for ev := range events {
		f.handle(ev)
		if len(events) == 0 {
			f.listDevices()
		}
	}
}

func (f *feed) handle(ev bridge.Event) {
	switch ev := ev.(type) {
	case bridge.SessionSet:
		if ev.Via == bridge.ViaNode {
			break // the process that has stored it notifies all sockets, including those of this process
		}
		if now, ok := f.look(ev.SessionID); ok {
			f.tell(bridge.To{SessionID: ev.SessionID}, push{Event: "set", Via: ev.Via, Keys: ev.Keys, snapshot: &now})
		}
	case bridge.ConnOpen:
		if _, ok := f.look(ev.SessionID); ok {
			f.tell(bridge.To{SessionID: ev.SessionID}, push{Event: "open", Socket: ev.ConnID})
		}
	case bridge.ConnClose:
		if _, ok := f.look(ev.SessionID); ok {
			f.tell(bridge.To{SessionID: ev.SessionID}, push{Event: "close", Socket: ev.ConnID, Code: ev.Code})
		}
	case bridge.SessionDestroy: // its own sockets have received a final message
		if was, ok := f.owners[ev.SessionID]; ok {
			f.stale[was] = struct{}{}
			delete(f.owners, ev.SessionID)
		}
	}
}

// look returns the current session, false if there is none.
func (f *feed) look(sessionID string) (now snapshot, ok bool) {
	if sessionID == "" { // a socket without a session
		return now, false
	}
	s, err := f.app.bridge.GetByID(context.Background(), sessionID)
	if err == nil {
		now, err = snapshotOf(s)
	}
	if err != nil {
		if !errors.Is(err, bridge.ErrSessionMissing) {
			f.app.callBack(bridge.ConnFilter{SessionID: sessionID})
		}
		return now, false
	}
	if was, ok := f.owners[sessionID]; ok {
		f.stale[was] = struct{}{} // the session may belong to another user now
	}
	f.owners[sessionID] = now.owner()
	f.stale[now.owner()] = struct{}{}
	return now, true
}

// listDevices sends the new list to the owners whose devices have changed.
func (f *feed) listDevices() {
	for who := range f.stale {
		devices, err := f.app.devices(context.Background(), who)
		if err != nil {
			f.app.callBack(bridge.ConnFilter{UserID: who.user, SessionID: who.session})
			continue
		}
		for _, d := range devices {
			f.owners[d.ID] = who
		}
		f.tell(who.to(), push{Event: "devices", Devices: devices})
	}
	clear(f.stale)
}

func (f *feed) tell(to bridge.To, p push) {
	if _, err := f.app.bridge.Notify(context.Background(), to, p.bytes()); err != nil {
		slog.Warn("sockets not notified", "event", p.Event, "error", err)
	}
}

// callBack closes sockets that can't be notified: their clients have outdated data, and reconnect
// to read it.
func (a *app) callBack(which bridge.ConnFilter) {
	const reason = "session store unavailable"
	if _, err := a.bridge.CloseConns(context.Background(), which, bridge.CodeUnavailable, reason); err != nil {
		slog.Warn("sockets not closed", "error", err)
	}
}

// lastMessage is the final message to the sockets of a session that has ended. The close code has
// further details.
func lastMessage(end bridge.SessionDestroy) []byte {
	itself := end.Via == bridge.ViaHTTP || end.Via == bridge.ViaSocket
	if end.Reason != bridge.ReasonDestroyed || itself { // expiry, or logout
		return nil
	}
	return push{Event: "over", Text: "You were signed out on another device."}.bytes()
}
