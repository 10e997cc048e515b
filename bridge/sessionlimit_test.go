package bridge_test

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
	"github.com/sessionbridge/sessionbridge/livestore"
)

func limited(most int, policy bridge.SessionLimitPolicy) *bridge.Options {
	return &bridge.Options{MaxSessionsPerUser: most, OnTooManySessions: policy}
}

// strictLogin is newApp with /strict, which logs in within WithSession, so that its handler gets the error.
func strictLogin(b *bridge.Bridge) http.Handler {
	mux := newApp(b)
	mux.HandleFunc("/strict", page(func(r *http.Request) (any, error) {
		return "in", b.WithSession(r, func(_ context.Context, s *bridge.Session) error { return s.Login(r.URL.Query().Get("user")) }, nil)
	}))
	return b.Handler(mux)
}

func TestS11_ALoginTooManyEvictsTheSessionThatHasBeenSilentForLongest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(t, livestore.New(), limited(2, bridge.EvictOldest))
		app := strictLogin(b)
		s := serveInMemory(t, app)
		oldest, second := newBrowser(t, s), newBrowser(t, s)
		oldest.ok("/login?user=ada")
		time.Sleep(time.Hour)
		second.ok("/login?user=ada")
		ws := second.dial("/ws")
		require.NotEmpty(t, ws.ask("id"))
		closed := ws.whenClosed()
		time.Sleep(time.Hour)
		oldest.ok("/get") // so that the second one has been silent for longest
		events := record[bridge.SessionDestroy](t, b)
		_, bobs := signIn(t, app, "bob")
		third, thirds := signIn(t, app, "ada")
		require.Equal(t, bridge.CodeEvicted, receive(t, closed))
		ev := events.next()
		require.Equal(t, bridge.ReasonEvicted, ev.Reason)
		require.Equal(t, bridge.ViaHTTP, ev.Via)
		require.ElementsMatch(t, []string{oldest.ok("/id"), thirds}, listedIDs(t, b, bridge.Filter{UserID: "ada"}))
		require.True(t, exists(t, b, bobs), "others have a limit of their own")
		require.Equal(t, http.StatusOK, third.get(t, app, "/login?user=ada").Code)
		require.Equal(t, http.StatusOK, third.get(t, app, "/strict?user=ada").Code)
		require.Len(t, listed(t, b, bridge.Filter{UserID: "ada"}), 2, "to log in again doesn't count twice")
		time.Sleep(time.Minute)
		_, fourths := signIn(t, app, "ada")
		require.False(t, exists(t, b, oldest.ok("/id")))
		require.ElementsMatch(t, []string{thirds, fourths}, listedIDs(t, b, bridge.Filter{UserID: "ada"}))
	})
}

func TestS11_ALoginTooManyIsRefused(t *testing.T) {
	b := newBridge(t, livestore.New(), limited(2, bridge.RefuseLogin))
	app := strictLogin(b)
	first, _ := signIn(t, app, "ada")
	signIn(t, app, "ada")
	for _, path := range []string{"/login", "/strict"} {
		third := pocket{}
		rep := third.get(t, app, path+"?user=ada")
		require.Equal(t, http.StatusForbidden, rep.Code, path)
		require.NotContains(t, third, "sid", "no session was made")
		if path == "/login" {
			require.Contains(t, rep.Body.String(), "Log out on one of them")
		} else {
			require.Contains(t, rep.Body.String(), bridge.ErrTooManySessions.Error())
		}
		require.Equal(t, http.StatusOK, first.get(t, app, path+"?user=ada").Code, "to log in again is no session more")
	}
	require.Len(t, listed(t, b, bridge.Filter{UserID: "ada"}), 2)
	other, id := signIn(t, app, "bob")
	require.Equal(t, http.StatusForbidden, other.get(t, app, "/login?user=ada").Code)
	require.Equal(t, id, other.get(t, app, "/id").Body.String(), "the session is what it was")
	require.Len(t, listed(t, b, bridge.Filter{UserID: "bob"}), 1)
	require.Equal(t, http.StatusOK, first.get(t, app, "/logout").Code)
	require.Equal(t, http.StatusOK, other.get(t, app, "/login?user=ada").Code, "there is room again")
}

func TestExpiredSessionsDontCountAgainstTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := limited(1, bridge.RefuseLogin)
		opts.AutoCleanup = bridge.Off
		b := newBridge(t, livestore.New(), opts)
		app := strictLogin(b)
		signIn(t, app, "ada")
		require.Equal(t, http.StatusForbidden, pocket{}.get(t, app, "/login?user=ada").Code)
		time.Sleep(25 * time.Hour)
		require.Equal(t, http.StatusOK, pocket{}.get(t, app, "/login?user=ada").Code)
	})
}

func TestTheLimitHoldsWhenManyLogInAtOnce(t *testing.T) {
	for name, policy := range map[string]bridge.SessionLimitPolicy{"evict": bridge.EvictOldest, "refuse": bridge.RefuseLogin} {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				b := newBridge(t, shakenStore{livestore.New()}, limited(3, policy))
				app := strictLogin(b)
				codes := make(chan int, 24)
				var all sync.WaitGroup
				for i := range cap(codes) {
					path := []string{"/login?user=", "/strict?user="}[i%2] + []string{"ada", "bob"}[i/2%2]
					all.Go(func() { codes <- pocket{}.get(t, app, path).Code })
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
				require.Len(t, listed(t, b, bridge.Filter{UserID: "ada"}), 3)
				require.Len(t, listed(t, b, bridge.Filter{UserID: "bob"}), 3)
			}
		})
	}
}

func TestALoginWaitsForAnotherOfItsUserAsLongAsItsContextSays(t *testing.T) {
	st := newFaultyStore()
	b := newBridge(t, st, limited(1, bridge.EvictOldest))
	app := strictLogin(b)
	on := newGate()
	st.next(1, "Set", on.wait)
	first := logIn(t, app, pocket{}, "ada")
	receive(t, on.reached)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the browser hung up"))
	rep := pocket{}.send(app, mustRequest(t, "/strict?user=ada").WithContext(ctx))
	require.Equal(t, http.StatusInternalServerError, rep.Code)
	require.Contains(t, rep.Body.String(), "the browser hung up")
	require.Equal(t, http.StatusOK, pocket{}.get(t, app, "/login?user=bob").Code, "other users don't wait")
	close(on.opened)
	require.Equal(t, http.StatusOK, receive(t, first))
	require.Len(t, listed(t, b, bridge.Filter{UserID: "ada"}), 1)
}

func TestALoginStandsWhenTheOldSessionCannotBeEvicted(t *testing.T) {
	st := newFaultyStore()
	log := &strings.Builder{}
	opts := limited(1, bridge.EvictOldest)
	opts.Logger = slog.New(slog.NewTextHandler(log, nil))
	b := newBridge(t, st, opts)
	app := strictLogin(b)
	signIn(t, app, "ada")
	st.next(1, "Destroy", refuse(errors.New("down")))
	_, second := signIn(t, app, "ada")
	require.Len(t, listed(t, b, bridge.Filter{UserID: "ada"}), 2)
	require.Contains(t, log.String(), "MaxSessionsPerUser")
	_, third := signIn(t, app, "ada")
	require.Equal(t, []string{third}, listedIDs(t, b, bridge.Filter{UserID: "ada"}), "the next login makes up for it")
	require.NotEqual(t, second, third)
}

func TestTheLimitNeedsAUserIndex(t *testing.T) {
	st := threeMethodStore{livestore.New()}
	_, err := bridge.New(st, limited(1, bridge.RefuseLogin))
	require.ErrorContains(t, err, "Options.MaxSessionsPerUser")
	require.ErrorContains(t, err, "store.UserIndex")
	require.ErrorIs(t, err, bridge.ErrUnsupported)
	newBridge(t, st, limited(bridge.Off, bridge.RefuseLogin))
}
