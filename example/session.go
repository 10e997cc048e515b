package main

import (
	"context"
	"encoding/json"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// What the session holds. Besides these, a socket may set keys of its own.
var (
	httpCount = bridge.NewKey[int64]("httpCount") // increments that came over HTTP
	wsCount   = bridge.NewKey[int64]("wsCount")   // and over a WebSocket
	total     = bridge.NewKey[int64]("total")     // both
)

// counters are the keys that only increments change.
func counters() []bridge.Key[int64] { return []bridge.Key[int64]{httpCount, wsCount, total} }

// snapshot is a session as clients see it.
type snapshot struct {
	ClientID  string                     `json:"clientId"`
	SessionID string                     `json:"sessionId"` // "" when there is none
	User      string                     `json:"user"`      // "" when nobody is logged in
	Session   map[string]json.RawMessage `json:"session"`   // its values
}

// noSession is what a client sees when there is none.
func noSession(clientID string) snapshot {
	return snapshot{ClientID: clientID, Session: map[string]json.RawMessage{}}
}

// change changes a session. It doesn't know which way the wish has come, so one function serves HTTP and sockets.
type change func(s *bridge.Session) error

// apply makes the change and returns what the session is then. WithSession lets nobody else in between: that is why no
// increment gets lost, however many requests and sockets make them at once. What it changes is stored when it returns.
func apply(ctx context.Context, on bridge.Sessioner, do change) (snapshot, error) {
	return bridge.WithSession(ctx, on, func(_ context.Context, s *bridge.Session) (snapshot, error) {
		if err := do(s); err != nil {
			return snapshot{}, err
		}
		return snapshotOf(s)
	}, nil)
}

// snapshotOf returns what the session is now.
func snapshotOf(s *bridge.Session) (snapshot, error) {
	now := snapshot{ClientID: s.ClientID(), SessionID: s.ID(), User: s.UserID()}
	return now, s.Decode(&now.Session)
}

// look changes nothing, so that nothing is stored.
func look(*bridge.Session) error { return nil }

// begin gives a session that has nothing yet something to store: one that is empty is not kept.
func begin(s *bridge.Session) error {
	for _, key := range counters() {
		if _, ok := key.Get(s); !ok {
			key.Set(s, 0)
		}
	}
	return nil
}

func increment(counter bridge.Key[int64], by int64) change {
	return func(s *bridge.Session) error {
		for _, key := range []bridge.Key[int64]{counter, total} {
			n, _ := key.Get(s)
			key.Set(s, n+by)
		}
		return begin(s) // the other one, if the session is new
	}
}

func set(key string, value json.RawMessage) change {
	return func(s *bridge.Session) error {
		s.Set(key, value)
		return nil
	}
}

// login makes the session the user's. What an anonymous visitor has collected stays; Login clears another user's things.
func login(user string) change {
	return func(s *bridge.Session) error {
		if err := s.Login(user); err != nil {
			return err
		}
		return begin(s)
	}
}

// logout ends the session. Every socket of it is being closed when it returns; one that has asked for it gets its answer first.
func logout(ctx context.Context, on bridge.Sessioner) error {
	return on.WithSession(ctx, func(_ context.Context, s *bridge.Session) error {
		s.Logout()
		return nil
	}, nil)
}
