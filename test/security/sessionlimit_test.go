package security_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func limited(most int, policy bridge.SessionLimitPolicy) *bridge.Options {
	return &bridge.Options{MaxSessionsPerUser: most, OnTooManySessions: policy}
}

// strictLogin is the application of testkit with /strict, which logs in within WithSession, so that
// its handler gets the error.
func strictLogin(b *bridge.Bridge) http.Handler {
	mux := testkit.NewMux(b)
	mux.HandleFunc("/strict", testkit.Page(func(r *http.Request) (any, error) {
		return "in", b.WithSession(r, func(_ context.Context, s *bridge.Session) error { return s.Login(r.URL.Query().Get("user")) }, nil)
	}))
	return b.Handler(mux)
}

func TestS11_ALoginTooManyEvictsTheSessionThatHasBeenSilentForLongest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := testkit.NewBridge(t, livestore.New(), limited(2, bridge.EvictOldest))
		app := strictLogin(b)
		s := webclient.ServeInMemory(t, app)
		oldest, second := webclient.NewBrowser(t, s), webclient.NewBrowser(t, s)
		oldest.OK("/login?user=ada")
		time.Sleep(time.Hour)
		second.OK("/login?user=ada")
		ws := second.Dial("/ws")
		require.NotEmpty(t, ws.Ask("id"))
		closed := ws.WhenClosed()
		time.Sleep(time.Hour)
		oldest.OK("/get") // so that the second one has been silent for longest
		events := testkit.Record[bridge.SessionDestroy](t, b)
		_, bobs := testkit.SignIn(t, app, "bob")
		third, thirds := testkit.SignIn(t, app, "ada")
		require.Equal(t, bridge.CodeEvicted, await.Receive(t, closed))
		ev := events.Next()
		require.Equal(t, bridge.ReasonEvicted, ev.Reason)
		require.Equal(t, bridge.ViaHTTP, ev.Via)
		require.ElementsMatch(t, []string{oldest.OK("/id"), thirds}, testkit.ListedIDs(t, b, bridge.Filter{UserID: "ada"}))
		require.True(t, testkit.SessionExists(t, b, bobs), "others have a limit of their own")
		require.Equal(t, http.StatusOK, third.Get(t, app, "/login?user=ada").Code)
		require.Equal(t, http.StatusOK, third.Get(t, app, "/strict?user=ada").Code)
		require.Len(t, testkit.Listed(t, b, bridge.Filter{UserID: "ada"}), 2, "to log in again doesn't count twice")
		time.Sleep(time.Minute)
		_, fourths := testkit.SignIn(t, app, "ada")
		require.False(t, testkit.SessionExists(t, b, oldest.OK("/id")))
		require.ElementsMatch(t, []string{thirds, fourths}, testkit.ListedIDs(t, b, bridge.Filter{UserID: "ada"}))
	})
}

func TestS11_ALoginTooManyIsRefused(t *testing.T) {
	b := testkit.NewBridge(t, livestore.New(), limited(2, bridge.RefuseLogin))
	app := strictLogin(b)
	first, _ := testkit.SignIn(t, app, "ada")
	testkit.SignIn(t, app, "ada")
	for _, path := range []string{"/login", "/strict"} {
		third := webclient.Pocket{}
		rep := third.Get(t, app, path+"?user=ada")
		require.Equal(t, http.StatusForbidden, rep.Code, path)
		require.NotContains(t, third, "sid", "no session was made")
		if path == "/login" {
			require.Contains(t, rep.Body.String(), "Log out on one of them")
		} else {
			require.Contains(t, rep.Body.String(), bridge.ErrTooManySessions.Error())
		}
		require.Equal(t, http.StatusOK, first.Get(t, app, path+"?user=ada").Code, "to log in again is no session more")
	}
	require.Len(t, testkit.Listed(t, b, bridge.Filter{UserID: "ada"}), 2)
	other, id := testkit.SignIn(t, app, "bob")
	require.Equal(t, http.StatusForbidden, other.Get(t, app, "/login?user=ada").Code)
	require.Equal(t, id, other.Get(t, app, "/id").Body.String(), "the session is what it was")
	require.Len(t, testkit.Listed(t, b, bridge.Filter{UserID: "bob"}), 1)
	require.Equal(t, http.StatusOK, first.Get(t, app, "/logout").Code)
	require.Equal(t, http.StatusOK, other.Get(t, app, "/login?user=ada").Code, "there is room again")
}

func TestExpiredSessionsDontCountAgainstTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := limited(1, bridge.RefuseLogin)
		opts.AutoCleanup = bridge.Off
		b := testkit.NewBridge(t, livestore.New(), opts)
		app := strictLogin(b)
		testkit.SignIn(t, app, "ada")
		require.Equal(t, http.StatusForbidden, webclient.Pocket{}.Get(t, app, "/login?user=ada").Code)
		time.Sleep(25 * time.Hour)
		require.Equal(t, http.StatusOK, webclient.Pocket{}.Get(t, app, "/login?user=ada").Code)
	})
}

func TestTheLimitHoldsWhenManyLogInAtOnce(t *testing.T) {
	for name, policy := range map[string]bridge.SessionLimitPolicy{"evict": bridge.EvictOldest, "refuse": bridge.RefuseLogin} {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				b := testkit.NewBridge(t, teststore.Shaken{Store: livestore.New()}, limited(3, policy))
				app := strictLogin(b)
				codes := make(chan int, 24)
				var all sync.WaitGroup
				for i := range cap(codes) {
					path := []string{"/login?user=", "/strict?user="}[i%2] + []string{"ada", "bob"}[i/2%2]
					all.Go(func() { codes <- webclient.Pocket{}.Get(t, app, path).Code })
				}
				all.Wait()
				close(codes)
				got := map[int]int{}
				for code := range codes {
					got[code]++
				}
				if policy == bridge.EvictOldest {
					require.Equal(t, map[int]int{http.StatusOK: 24}, got)
				} else {
					require.Equal(t, map[int]int{http.StatusOK: 6, http.StatusForbidden: 18}, got)
				}
				require.Len(t, testkit.Listed(t, b, bridge.Filter{UserID: "ada"}), 3)
				require.Len(t, testkit.Listed(t, b, bridge.Filter{UserID: "bob"}), 3)
			}
		})
	}
}

func TestALoginWaitsForAnotherOfItsUserAsLongAsItsContextSays(t *testing.T) {
	st := teststore.NewFaulty()
	b := testkit.NewBridge(t, st, limited(1, bridge.EvictOldest))
	app := strictLogin(b)
	on := teststore.NewGate()
	st.Next(1, "Set", on.Wait)
	first := logIn(t, app, webclient.Pocket{}, "ada")
	await.Receive(t, on.Reached)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the browser hung up"))
	rep := webclient.Pocket{}.Send(app, webclient.Request(t, "/strict?user=ada").WithContext(ctx))
	require.Equal(t, http.StatusInternalServerError, rep.Code)
	require.Contains(t, rep.Body.String(), "the browser hung up")
	require.Equal(t, http.StatusOK, webclient.Pocket{}.Get(t, app, "/login?user=bob").Code, "other users don't wait")
	close(on.Opened)
	require.Equal(t, http.StatusOK, await.Receive(t, first))
	require.Len(t, testkit.Listed(t, b, bridge.Filter{UserID: "ada"}), 1)
}

func TestALoginStandsWhenTheOldSessionCannotBeEvicted(t *testing.T) {
	st := teststore.NewFaulty()
	log := &strings.Builder{}
	opts := limited(1, bridge.EvictOldest)
	opts.Logger = slog.New(slog.NewTextHandler(log, nil))
	b := testkit.NewBridge(t, st, opts)
	app := strictLogin(b)
	testkit.SignIn(t, app, "ada")
	st.Next(1, "Destroy", teststore.Refuse(errors.New("down")))
	_, second := testkit.SignIn(t, app, "ada")
	require.Len(t, testkit.Listed(t, b, bridge.Filter{UserID: "ada"}), 2)
	require.Contains(t, log.String(), "MaxSessionsPerUser")
	_, third := testkit.SignIn(t, app, "ada")
	require.Equal(t, []string{third}, testkit.ListedIDs(t, b, bridge.Filter{UserID: "ada"}), "the next login makes up for it")
	require.NotEqual(t, second, third)
}

func TestTheLimitNeedsAUserIndex(t *testing.T) {
	st := teststore.Minimal{Store: livestore.New()}
	_, err := bridge.New(st, limited(1, bridge.RefuseLogin))
	require.ErrorContains(t, err, "Options.MaxSessionsPerUser")
	require.ErrorContains(t, err, "store.UserIndex")
	require.ErrorIs(t, err, bridge.ErrUnsupported)
	testkit.NewBridge(t, st, limited(bridge.Off, bridge.RefuseLogin))
}
