package feed_test

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/admin/internal/eventjson"
	"github.com/sessionbridge/sessionbridge/admin/internal/feed"
	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testmain"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestMain(m *testing.M) { testmain.Run(m) }

func newBridge(t *testing.T) *bridge.Bridge {
	t.Helper()
	b, err := bridge.New(livestore.New(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Shutdown(context.WithoutCancel(t.Context()))) })
	return b
}

// logIn creates sessions of the users, one after the other, and waits for their events.
func logIn(t *testing.T, b *bridge.Bridge, users ...string) {
	t.Helper()
	for _, user := range users {
		_, err := b.Create(t.Context(), bridge.NewSession{UserID: user})
		require.NoError(t, err)
	}
	synctest.Wait()
}

// reject presents credentials that open nothing.
func reject(t *testing.T, b *bridge.Bridge, times int) {
	t.Helper()
	for range times {
		_, err := b.Open(t.Context(), bridge.Credentials{Token: "forged"})
		require.Error(t, err)
	}
	synctest.Wait()
}

// usersOf returns the users of the items, "-" for one that is not of a session.
func usersOf(items []feed.Item) (users []string) {
	for _, item := range items {
		switch ev := item.Event.(type) {
		case bridge.SessionSet:
			users = append(users, ev.UserID)
		default:
			users = append(users, "-")
		}
	}
	return users
}

func TestFeedRemembersTheLastEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(t)
		f := feed.New(b, 4)
		items, gap, changed := f.Since(0, 9)
		require.Empty(t, items)
		require.False(t, gap)
		select {
		case <-changed:
			require.Fail(t, "nothing has changed")
		default:
		}
		logIn(t, b, "a", "b", "c", "d")
		<-changed
		items, gap, _ = f.Since(0, 9)
		require.Equal(t, []string{"a", "b", "c", "d"}, usersOf(items))
		require.False(t, gap)
		items, _, _ = f.Since(1, 2)
		require.Equal(t, []string{"b", "c"}, usersOf(items))
		require.Equal(t, []uint64{2, 3}, []uint64{items[0].Number, items[1].Number})
		require.Equal(t, time.Now(), items[0].At)

		logIn(t, b, "e", "f")
		items, gap, _ = f.Since(1, 9)
		require.Equal(t, []string{"c", "d", "e", "f"}, usersOf(items))
		require.True(t, gap, "b is forgotten")
		_, gap, _ = f.Since(2, 9)
		require.False(t, gap)
		require.EqualValues(t, 6, f.Last())
	})
}

// TestRejectionsDisplaceNothing: any client can cause them.
func TestRejectionsDisplaceNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(t)
		f := feed.New(b, 8)
		logIn(t, b, "a", "b")
		reject(t, b, 100)
		logIn(t, b, "c")
		items, gap, _ := f.Since(0, 99)
		require.Equal(t, []string{"a", "b", "-", "-", "c"}, usersOf(items), "the last two of a quarter")
		require.False(t, gap)
		for i := range items[1:] {
			require.Less(t, items[i].Number, items[i+1].Number)
		}
	})
}

func TestFeedEndsWithTheBridge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(t)
		f := feed.New(b, 4)
		_, _, changed := f.Since(0, 1)
		require.NoError(t, b.Shutdown(t.Context()))
		<-changed
		_, _, changed = f.Since(0, 1)
		require.Nil(t, changed)
	})
}

// client is a program that reads server-sent events.
type client struct {
	mu    sync.Mutex
	lines []string
	end   context.CancelFunc
	ended chan struct{}
}

// connect serves a request in the background. The response is a pipe, as over a network.
func connect(t *testing.T, f *feed.Feed, filter eventjson.Filter, lastID string) *client {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := &client{end: cancel, ended: make(chan struct{})}
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/events", nil)
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	go func() {
		defer close(c.ended)
		f.Serve(c.writer(), r, filter)
	}()
	t.Cleanup(c.close)
	synctest.Wait()
	return c
}

func (c *client) close() {
	c.end()
	<-c.ended
}

func (c *client) writer() http.ResponseWriter { return &lineWriter{client: c, header: http.Header{}} }

// take returns what has arrived since the last call, as "type user" for an event, and as the line
// itself for a comment.
func (c *client) take() (seen []string, lastID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kind := ""
	for _, line := range c.lines {
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case name == "" && value != "":
			seen = append(seen, line)
		case name == "id":
			lastID = value
		case name == "event":
			kind = value
		case name == "data":
			_, user, _ := strings.Cut(value, `"user":"`)
			user, _, _ = strings.Cut(user, `"`)
			seen = append(seen, strings.TrimSpace(kind+" "+user))
		}
	}
	c.lines = nil
	return seen, lastID
}

// lineWriter is a ResponseWriter that a client reads line by line after each flush.
type lineWriter struct {
	client *client
	header http.Header
	buffer strings.Builder
}

func (w *lineWriter) Header() http.Header { return w.header }
func (w *lineWriter) WriteHeader(int)     {}

func (w *lineWriter) Write(p []byte) (int, error) { return w.buffer.Write(p) }

func (w *lineWriter) Flush() {
	w.client.mu.Lock()
	defer w.client.mu.Unlock()
	lines := bufio.NewScanner(strings.NewReader(w.buffer.String()))
	for lines.Scan() {
		w.client.lines = append(w.client.lines, lines.Text())
	}
	w.buffer.Reset()
}

func TestServeSendsWhatHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(t)
		f := feed.New(b, 16)
		logIn(t, b, "before")
		all := connect(t, f, eventjson.Filter{}, "")
		one := connect(t, f, eventjson.Filter{UserID: "ada"}, "")
		seen, _ := all.take()
		require.Equal(t, []string{": connected"}, seen)
		logIn(t, b, "ada", "bob")
		seen, _ = all.take()
		require.Equal(t, []string{"session.set ada", "session.set bob"}, seen)
		seen, _ = one.take()
		require.Equal(t, []string{": connected", "session.set ada"}, seen)

		time.Sleep(15 * time.Second)
		synctest.Wait()
		seen, id := one.take()
		require.Empty(t, seen)
		require.NotEmpty(t, id, "a sign of life tells the place in the feed")
		logIn(t, b, "ada")
		again := connect(t, f, eventjson.Filter{UserID: "ada"}, id)
		seen, _ = again.take()
		require.Equal(t, []string{": connected", "session.set ada"}, seen)
	})
}

func TestServeGoesOnWhereTheClientWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(t)
		f := feed.New(b, 4)
		first := connect(t, f, eventjson.Filter{}, "")
		logIn(t, b, "a", "b")
		_, id := first.take()
		first.close()
		logIn(t, b, "c", "d")
		seen, next := connect(t, f, eventjson.Filter{}, id).take()
		require.Equal(t, []string{": connected", "session.set c", "session.set d"}, seen)

		logIn(t, b, "e", "f", "g")
		seen, _ = connect(t, f, eventjson.Filter{}, id).take()
		require.Equal(t, []string{": connected", "missed", "session.set d", "session.set e", "session.set f", "session.set g"}, seen)
		seen, _ = connect(t, f, eventjson.Filter{}, next).take()
		require.Equal(t, []string{": connected", "session.set e", "session.set f", "session.set g"}, seen)
		seen, _ = connect(t, f, eventjson.Filter{}, feed.FromStart).take()
		require.Equal(t, []string{": connected", "session.set d", "session.set e", "session.set f", "session.set g"}, seen)
		for _, foreign := range []string{"otherone-2", "x", "-", next + "0", strings.Replace(next, "-", "-x", 1), "\x00"} {
			seen, _ = connect(t, f, eventjson.Filter{}, foreign).take()
			require.Equal(t, []string{": connected", "missed"}, seen, foreign)
		}
	})
}

func TestServeEndsWithTheBridge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(t)
		f := feed.New(b, 4)
		c := connect(t, f, eventjson.Filter{}, "")
		require.NoError(t, b.Shutdown(t.Context()))
		<-c.ended
	})
}

// TestASlowClientIsLeftBehind: it blocks nobody, and learns that it has missed events.
func TestASlowClientIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(t)
		f := feed.New(b, 4)
		gate := make(chan struct{})
		slow := &client{ended: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			defer close(slow.ended)
			w := &gatedWriter{slow.writer().(*lineWriter), gate}
			f.Serve(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/events", nil), eventjson.Filter{})
		}()
		gate <- struct{}{} // ": connected"
		fast := connect(t, f, eventjson.Filter{}, "")
		logIn(t, b, "a")
		for _, user := range []string{"b", "c", "d", "e", "f"} {
			logIn(t, b, user)
		}
		seen, _ := fast.take()
		require.Len(t, seen, 7)
		close(gate)
		synctest.Wait()
		seen, _ = slow.take()
		require.Equal(t, []string{": connected", "session.set a", "missed", "session.set c", "session.set d", "session.set e", "session.set f"}, seen)
		cancel()
		<-slow.ended
	})
}

type gatedWriter struct {
	*lineWriter
	gate chan struct{}
}

func (w *gatedWriter) Write(p []byte) (int, error) {
	<-w.gate
	return w.lineWriter.Write(p)
}
