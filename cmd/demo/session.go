package main

import (
	"context"
	"encoding/json"
	"os"
	"strconv"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// Keys of the session. A socket may set other keys.
var (
	httpCount = bridge.NewKey[int64]("httpCount") // increments over HTTP
	wsCount   = bridge.NewKey[int64]("wsCount")   // increments over WebSocket
	total     = bridge.NewKey[int64]("total")     // the sum of both
)

// counters are the keys that only increments may change.
func counters() []bridge.Key[int64] { return []bridge.Key[int64]{httpCount, wsCount, total} }

// snapshot is a session as clients see it.
type snapshot struct {
	ClientID  string                     `json:"clientId"`
	SessionID string                     `json:"sessionId"`        // "" without a session
	User      string                     `json:"user"`             // "" without a user
	Session   map[string]json.RawMessage `json:"session"`          // its values
	Expires   time.Time                  `json:"expires,omitzero"` // not of a session that isn't stored yet
	Node      string                     `json:"node,omitempty"`   // the process that has read it
}

// node names this process.
var node = "process " + strconv.Itoa(os.Getpid())

// noSession is the snapshot of a client without a session.
func noSession(clientID string) snapshot {
	return snapshot{ClientID: clientID, Session: map[string]json.RawMessage{}}
}

// change is a function that changes a session. It doesn't depend on the transport, so that it
// serves HTTP and sockets.
type change func(s *bridge.Session) error

// apply makes the change and returns the resulting session. WithSession runs calls on one session
// one at a time, so that no increment is lost among concurrent requests and sockets. The change is
// stored when it returns.
func apply(ctx context.Context, on bridge.Sessioner, do change) (snapshot, error) {
	return bridge.WithSession(ctx, on, func(_ context.Context, s *bridge.Session) (snapshot, error) {
		if err := do(s); err != nil {
			return snapshot{}, err
		}
		return snapshotOf(s)
	}, nil)
}

// snapshotOf returns the current session.
func snapshotOf(s *bridge.Session) (snapshot, error) {
	now := snapshot{ClientID: s.ClientID(), SessionID: s.ID(), User: s.UserID(), Expires: s.Expires(), Node: node}
	return now, s.Decode(&now.Session)
}

// look changes nothing, so that nothing is stored.
func look(*bridge.Session) error { return nil }

// begin makes a session non-empty, because an empty new session is not stored.
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
		return begin(s) // and the other counter, if the session is new
	}
}

func set(key string, value json.RawMessage) change {
	return func(s *bridge.Session) error {
		s.Set(key, value)
		return nil
	}
}

// login makes the session the user's. It keeps the data of an anonymous visitor; Login removes
// another user's data.
func login(user string) change {
	return func(s *bridge.Session) error {
		if err := s.Login(user); err != nil {
			return err
		}
		return begin(s)
	}
}

// logout ends the session. All its sockets are being closed when it returns; one that has requested
// it gets its answer first.
func logout(ctx context.Context, on bridge.Sessioner) error {
	return on.WithSession(ctx, func(_ context.Context, s *bridge.Session) error {
		s.Logout()
		return nil
	}, nil)
}
