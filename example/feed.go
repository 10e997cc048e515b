package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// feed tells sockets what happens: those of a session what happens to it, and those of its user which devices there are. Bridge.Notify finds
// the sockets, and waits for none of them. A feed is one goroutine's: it needs no lock.
type feed struct {
	app    *app
	owners map[string]owner   // whose each session is that was told of, by its ID: an ended session can't be asked any more
	stale  map[owner]struct{} // whose list of devices has changed
}

// push is a message that nobody has asked for.
type push struct {
	Event     string     `json:"event"`             // set, open, close, devices, notify or over
	Via       bridge.Via `json:"via,omitempty"`     // set: the way that the change came
	Keys      []string   `json:"keys,omitempty"`    // set: what has changed
	Socket    string     `json:"socket,omitempty"`  // open, close: its ID
	Code      int        `json:"code,omitempty"`    // close: the close code, -1 for none
	Devices   []device   `json:"devices,omitempty"` // devices: all of the user's
	Text      string     `json:"text,omitempty"`    // notify: what is to be shown; over: why the session ended
	From      string     `json:"from,omitempty"`    // notify: the device that it was sent from
	*snapshot            // set: the session now
}

// bytes returns the message as it is sent.
func (p push) bytes() []byte {
	data, _ := json.Marshal(p) // it holds nothing that could fail
	return data
}

func newFeed(a *app) *feed {
	return &feed{app: a, owners: make(map[string]owner), stale: make(map[owner]struct{})}
}

// run hands on events until there are no more. Devices are listed once for all the events that are waiting.
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
			break // the process that has stored it tells all sockets, those of this one, too
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
	case bridge.SessionDestroy: // its own sockets have had a last message
		if was, ok := f.owners[ev.SessionID]; ok {
			f.stale[was] = struct{}{}
			delete(f.owners, ev.SessionID)
		}
	}
}

// look returns the session as it is now; false when there is none.
func (f *feed) look(sessionID string) (now snapshot, ok bool) {
	if sessionID == "" { // of a socket without a session
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
		f.stale[was] = struct{}{} // it may have become another user's
	}
	f.owners[sessionID] = now.owner()
	f.stale[now.owner()] = struct{}{}
	return now, true
}

// listDevices sends everybody whose devices have changed the new list.
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
		slog.Warn("some sockets were not told", "event", p.Event, "error", err)
	}
}

// callBack closes sockets that can't be told what has happened: what their clients have is out of date, and they shall come back for the rest.
func (a *app) callBack(which bridge.ConnFilter) {
	if _, err := a.bridge.CloseConns(context.Background(), which, bridge.CodeUnavailable, "session store unavailable"); err != nil {
		slog.Warn("some sockets were not called back", "error", err)
	}
}

// lastMessage is what the sockets of a session are told when it has ended, before they are closed. The close code says the rest.
func lastMessage(end bridge.SessionDestroy) []byte {
	if end.Reason != bridge.ReasonDestroyed || end.Via != bridge.ViaAPI && end.Via != bridge.ViaNode { // it has logged out by itself, or expired
		return nil
	}
	return push{Event: "over", Text: "You were signed out on another device."}.bytes()
}
