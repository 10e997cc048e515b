package tracking_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/errorcodes"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testhub"
	"github.com/sessionbridge/sessionbridge/internal/tracking"
)

func TestACommitAttachesItsSessionAndALoginPartsOlderConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t, testhub.New(), nil)
		require.False(t, p.Knows("a"))
		p.create("a", "client")
		require.True(t, p.Knows("a"))
		c, err := p.register("1", "a", "client", nil)
		require.NoError(t, err)
		p.login("a", "ann")
		require.Empty(t, p.sessionOf(c))
		require.Equal(t, "ann", p.clients.UserOf("a"))
		_, _, closed, later := p.seen()
		require.Empty(t, closed, "its client gets the response first")
		require.Equal(t, []registry.Close{tracking.Reconnect}, later)
	})
}

func TestFollowMovesConnectionsToTheNewestSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t, testhub.New(), func(cfg *tracking.Config[*conn]) { cfg.Follow = true })
		p.create("a", "client")
		var conns [3]*conn
		for i, id := range []string{"1", "2"} {
			c, err := p.register(id, "a", "client", nil)
			require.NoError(t, err)
			conns[i] = c
		}
		p.create("b", "client")
		for _, c := range conns[:2] {
			require.Equal(t, "b", p.sessionOf(c))
		}
		conns[2], _ = p.register("3", "a", "client", nil)
		_, _, _, later := p.seen()
		require.Empty(t, later)
		p.login("a", "ann")
		_, _, closed, _ := p.seen()
		require.Equal(t, []registry.Close{tracking.TooMany}, closed, "the limit of a session is 2")
	})
}

func TestASessionIsAttachedOnceAndALoginIsReportedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := testhub.New()
		here, there := newProcess(t, hub, nil), newProcess(t, hub, nil)
		there.create("a", "client")
		for range 2 {
			rec := here.load("a")
			require.NoError(t, here.Attach(t.Context(), &rec, "http"))
		}
		stored, _, _, _ := here.seen()
		require.Equal(t, []tracking.Stored{{ClientID: "client", SessionID: "a", IsInit: true, Via: "http"}}, stored)
		there.login("a", "ann")
		for range 3 {
			rec := here.load("a")
			require.NoError(t, here.Attach(t.Context(), &rec, "http"))
		}
		stored, _, _, _ = here.seen()
		require.Equal(t, []tracking.Stored{
			{ClientID: "client", SessionID: "a", UserID: "ann", Login: true, Rotated: true},
		}, stored)
		there.destroy("a", "client")
		require.ErrorIs(t, func() error {
			rec := hereRecord("b", "client")
			return here.Attach(t.Context(), &rec, "http")
		}(), gateway.ErrMissing, "it has ended meanwhile")
	})
}

func TestChangesElsewhereAreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := testhub.New()
		here, there := newProcess(t, hub, nil), newProcess(t, hub, nil)
		there.create("a", "client")
		rec := here.load("a")
		require.NoError(t, here.Attach(t.Context(), &rec, "http"))
		c, err := here.register("1", "a", "client", nil)
		require.NoError(t, err)
		here.seen()

		there.login("a", "ann")
		stored, _, _, later := here.seen()
		logins := 0
		for _, s := range stored { // besides, the change of the token may be reported
			require.Equal(t, []any{"a", "ann", true, false}, []any{s.SessionID, s.UserID, s.Rotated, s.IsInit})
			if s.Login {
				logins++
			}
		}
		require.Equal(t, 1, logins)
		require.Contains(t, later, tracking.Reconnect)
		require.Empty(t, here.sessionOf(c), "its token is replaced")

		c, err = here.register("2", "a", "client", nil)
		require.NoError(t, err)
		there.destroy("a", "client")
		_, ended, _, _ := here.seen()
		require.Equal(t, []string{"<logout>"}, ended)
		require.Empty(t, here.sessionOf(c))
		require.False(t, here.Knows("a"))
		end, known := here.ends.Find("a")
		require.True(t, known)
		require.Equal(t, "<logout>", end.Reason)
	})
}

func TestAClientsSessionElsewhereIsTheNewestHereToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := testhub.New()
		here, there := newProcess(t, hub, nil), newProcess(t, hub, nil)
		here.create("a", "client")
		_, err := here.register("1", "a", "client", nil)
		require.NoError(t, err)
		time.Sleep(time.Second)
		there.create("b", "client")
		newest, _ := here.clients.SessionOf("client")
		require.Equal(t, "b", newest)
		stored, _, _, later := here.seen()
		require.Equal(t, []tracking.Stored{{ClientID: "client", SessionID: "b", IsInit: true}}, stored)
		require.Equal(t, []registry.Close{tracking.Reconnect}, later)
	})
}

func TestARecheckEndsASessionThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := testhub.New()
		p := newProcess(t, hub, nil)
		p.create("a", "client")
		c, err := p.register("1", "a", "client", nil)
		require.NoError(t, err)
		_, err = hub.Destroy(t.Context(), "a") // without a notification
		require.NoError(t, err)
		require.Equal(t, "a", p.sessionOf(c))
		p.Recheck("a")
		_, ended, _, _ := p.seen()
		require.Equal(t, []string{""}, ended)
		require.Empty(t, p.sessionOf(c))
		p.Recheck("a")
		_, ended, _, _ = p.seen()
		require.Empty(t, ended, "it has ended before")
	})
}

func TestConnectionsAreClosedIfTheStoreCannotTellForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := testhub.New()
		p := newProcess(t, hub, nil)
		p.create("a", "client")
		_, err := p.register("1", "a", "client", nil)
		require.NoError(t, err)
		hub.Node(0).SetNetwork(true, true)
		p.Doubt("a")
		synctest.Wait()
		require.True(t, p.hasFailed("find out whether a session is alive"))
		_, _, closed, _ := p.seen()
		require.Empty(t, closed, "it may be back in a moment")
		time.Sleep(5 * time.Minute)
		_, _, closed, _ = p.seen()
		require.Contains(t, closed, registry.Close{Code: errorcodes.Unavailable, Reason: errorcodes.ReasonUnavailable})
		hub.Node(0).SetNetwork(false, false)
	})
}
