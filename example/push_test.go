package main

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
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
	// The one that changes something gets its answer and, like the other, the event.
	require.True(t, *one.do(t, `{"do":"increment","by":2}`).OK)
	for _, ws := range []*wire{one, two} {
		set := ws.until(t, totals(3))
		require.Equal(t, "socket", set.Via)
		require.Equal(t, counts(1, 2, 3), set.counts())
	}
}

func TestSocketsThatDoNotWatchGetAnswersOnly(t *testing.T) {
	v := newVisitor(t, serve(t))
	v.get(t, "/api/session")
	quiet, watching := v.dial(t), v.watch(t)
	for n := range 10 {
		v.post(t, "/api/increment", `{"by":1}`)
		watching.until(t, totals(float64(n+1)))
		r := quiet.do(t, `{"do":"get"}`)
		require.EqualValues(t, n+1, r.Session["total"])
		require.Empty(t, quiet.pushed)
	}
}

func TestOpenSocketsAreListedAsTheyComeAndGo(t *testing.T) {
	v := newVisitor(t, serve(t))
	v.get(t, "/api/session")
	one := v.dial(t)
	self := one.do(t, `{"do":"watch"}`)
	known := make(map[string]bool)
	for _, s := range self.Sockets {
		known[s.ID] = true
	}
	if !known[self.ConnID] { // its own event comes after the answer
		opened := one.until(t, func(r reply) bool { return r.Event == "open" })
		require.Equal(t, self.ConnID, opened.Socket.ID)
	}

	two := v.dial(t)
	id := two.do(t, `{"do":"get"}`).ConnID
	opened := one.until(t, func(r reply) bool { return r.Event == "open" && r.Socket.ID == id })
	require.False(t, opened.Socket.Opened.IsZero())
	var listed []string
	for _, s := range one.do(t, `{"do":"watch"}`).Sockets {
		listed = append(listed, s.ID)
	}
	require.Equal(t, []string{self.ConnID, id}, listed)

	require.NoError(t, two.Close(1000, ""))
	closed := one.until(t, func(r reply) bool { return r.Event == "close" })
	require.Equal(t, id, closed.Socket.ID)
	require.Equal(t, 1000, closed.Code)
	require.Len(t, one.do(t, `{"do":"watch"}`).Sockets, 1)
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
	// Events come in order: had there been one of the other's, it would be in front of the stranger's own increment.
	ws.until(t, func(r reply) bool {
		if r.Event == "set" {
			require.Equal(t, theirs.SessionID, r.SessionID)
		} else {
			require.Equal(t, self, r.Socket.ID)
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
	require.False(t, *ws.do(t, `{"do":"watch"}`).OK)
	v.post(t, "/api/increment", `{"by":1}`)
	r := ws.do(t, `{"do":"get"}`)
	require.False(t, *r.OK)
	require.Equal(t, counts(1, 0, 1), v.get(t, "/api/session").counts())
	require.Equal(t, begun.SessionID, v.get(t, "/api/session").SessionID)
}

func TestFeedLetsGoOfASocketThatIsTooSlow(t *testing.T) {
	f := newFeed()
	slow, quick := f.watch("s"), f.watch("s")
	for range watcherQueue + 1 {
		f.handle(bridge.SessionSet{SessionID: "s"})
		<-quick.events
	}
	for range watcherQueue {
		_, open := <-slow.events
		require.True(t, open)
	}
	_, open := <-slow.events
	require.False(t, open)
	f.unwatch(slow) // as its socket does when it ends
	f.handle(bridge.SessionSet{SessionID: "s"})
	require.Len(t, quick.events, 1)
	f.unwatch(quick)
	require.Empty(t, f.watchers)
}
