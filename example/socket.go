package main

import (
	"context"
	"sync"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// socket is one WebSocket connection. It gets one answer for each message that it sends; one that has sent {"do":"watch"} also gets
// what happens to its session, from whichever side: such messages have an "event" instead of an "ok".
type socket struct {
	app  *app
	conn *bridge.Conn
	work sync.WaitGroup
	seen *watcher // nil until it watches
}

// socketAnswer is an answer with what only sockets want to know.
type socketAnswer struct {
	answer
	ConnID  string       `json:"connId"`
	Sockets []socketInfo `json:"sockets,omitempty"` // the session's, in the answer to watch
}

// serveSocket answers messages until the connection ends.
func (a *app) serveSocket(ctx context.Context, c *bridge.Conn) error {
	s := &socket{app: a, conn: c}
	defer s.work.Wait()
	pushing, stop := context.WithCancel(ctx)
	defer stop()
	defer func() {
		if s.seen != nil {
			a.feed.unwatch(s.seen)
		}
	}()
	for {
		_, data, err := c.Read(ctx)
		if err != nil {
			return err
		}
		started := s.seen != nil
		reply, err := s.answer(ctx, data)
		if err != nil {
			reply, _ = failureOf(err)
		}
		if err := c.WriteJSON(ctx, reply); err != nil {
			return err
		}
		if !started && s.seen != nil { // only now: what is pushed is newer than what has been answered
			s.work.Go(func() { s.pushEvents(pushing) })
		}
	}
}

// answer does what a message asks for.
func (s *socket) answer(ctx context.Context, data []byte) (any, error) {
	do, what, err := parseMessage(data)
	if err != nil {
		return nil, err
	}
	reply := socketAnswer{ConnID: s.conn.ID()}
	switch do {
	case "logout":
		err = logout(ctx, s.conn)
		reply.answer = answer{true, noSession(s.conn.ClientID())}
		return reply, err
	case "watch":
		if s.conn.SessionID() == "" {
			return nil, bridge.ErrSessionMissing
		}
		if s.seen == nil {
			s.seen = s.app.feed.watch(s.conn.SessionID())
		}
		reply.Sockets = s.app.feed.list(s.seen.sessionID)
	}
	now, err := apply(ctx, s.conn, what)
	reply.answer = answer{true, now}
	return reply, err
}
