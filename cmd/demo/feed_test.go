package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

func TestTwoSocketsFollowOneAnother(t *testing.T) {
	v := newVisitor(t, serve(t))
	begun := v.get(t, "/api/session")
	one, two := v.watch(t), v.watch(t)

	v.post(t, "/api/increment", `{"by":1}`)
	for _, ws := range []*wire{one, two} {
		set := ws.until(t, totals(1))
		require.Equal(t, "http", set.Via)
		require.Equal(t, []string{"httpCount", "total"}, set.Keys)
		require.Equal(t, begun.SessionID, set.SessionID)
	}
	// The socket that makes the change gets the answer and, like the other one, the event.
	require.True(t, *one.do(t, `{"do":"increment","by":2}`).OK)
	for _, ws := range []*wire{one, two} {
		set := ws.until(t, totals(3))
		require.Equal(t, "socket", set.Via)
		require.Equal(t, counts(1, 2, 3), set.counts())
	}
}

func TestOpenSocketsAreListedAsTheyComeAndGo(t *testing.T) {
	v := newVisitor(t, serve(t))
	v.get(t, "/api/session")
	one := v.dial(t)
	self := one.do(t, `{"do":"get"}`)
	require.Equal(t, []string{self.ConnID}, socketsOf(self.Devices), "the session's sockets, without a user")

	two := v.dial(t)
	id := two.do(t, `{"do":"get"}`).ConnID
	one.until(t, func(r reply) bool { return r.Event == "open" && r.Socket == id })
	one.until(t, func(r reply) bool {
		return r.Event == "devices" && slices.Equal(socketsOf(r.Devices), []string{self.ConnID, id})
	})
	require.Equal(t, []string{self.ConnID, id}, socketsOf(one.do(t, `{"do":"get"}`).Devices))

	require.NoError(t, two.Close(1000, ""))
	closed := one.until(t, func(r reply) bool { return r.Event == "close" })
	require.Equal(t, id, closed.Socket)
	require.Equal(t, 1000, closed.Code)
	one.until(t, func(r reply) bool {
		return r.Event == "devices" && slices.Equal(socketsOf(r.Devices), []string{self.ConnID})
	})
}

func TestStrangersSeeNothing(t *testing.T) {
	v := newVisitor(t, serve(t))
	stranger := newVisitor(t, v.url)
	v.get(t, "/api/session")
	theirs := stranger.get(t, "/api/session")
	ws := stranger.watch(t)
	v.watch(t)
	v.post(t, "/api/increment", `{"by":100}`)
	v.post(t, "/api/login", `{"user":"ada"}`)
	v.post(t, "/api/logout", "")
	stranger.post(t, "/api/increment", `{"by":1}`)
	self := ws.do(t, `{"do":"get"}`).ConnID
	// Events are in order: an event of the other session would precede the stranger's own
	// increment.
	ws.until(t, func(r reply) bool {
		switch r.Event {
		case "set":
			require.Equal(t, theirs.SessionID, r.SessionID)
		case "devices":
			require.Len(t, r.Devices, 1)
			require.Equal(t, theirs.SessionID, r.Devices[0].ID)
		default:
			require.Equal(t, self, r.Socket)
		}
		return totals(1)(r)
	})
}

func TestClientCookieAloneSeesNothing(t *testing.T) {
	v := newVisitor(t, serve(t))
	begun := v.get(t, "/api/session")
	home, err := url.Parse(v.url)
	require.NoError(t, err)
	thief := newVisitor(t, v.url)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	for _, c := range v.client.Jar.Cookies(home) {
		if strings.HasSuffix(c.Name, ".cid") {
			jar.SetCookies(home, []*http.Cookie{c})
		}
	}
	require.Len(t, jar.Cookies(home), 1)
	thief.client.Jar = jar
	ws := thief.dial(t)
	require.False(t, *ws.do(t, `{"do":"get"}`).OK)
	v.post(t, "/api/increment", `{"by":1}`)
	r := ws.do(t, `{"do":"get"}`)
	require.False(t, *r.OK)
	require.Equal(t, counts(1, 0, 1), v.get(t, "/api/session").counts())
	require.Equal(t, begun.SessionID, v.get(t, "/api/session").SessionID)
}

// brokenStore fails on demand.
type brokenStore struct {
	*livestore.Store
	broken atomic.Bool
}

func (s *brokenStore) Get(ctx context.Context, id string) (store.Record, error) {
	if s.broken.Load() {
		return store.Record{}, errors.New("out of order")
	}
	return s.Store.Get(ctx, id)
}

func TestSocketsThatCannotBeToldAreCalledBack(t *testing.T) {
	sessions := &brokenStore{Store: livestore.New()}
	v := newVisitor(t, serveOn(t, sessions))
	v.get(t, "/api/session")
	one, two := v.watch(t), v.watch(t)
	one.until(t, func(r reply) bool { return r.Event == "devices" && len(socketsOf(r.Devices)) == 2 })
	sessions.broken.Store(true)
	require.NoError(t, two.Close(1000, "")) // causes an event
	require.Equal(t, bridge.CodeUnavailable, one.closed(t), "the page is outdated and must reconnect")
}
