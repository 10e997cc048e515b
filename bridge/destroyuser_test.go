package bridge_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// outcome is what an ending returns.
type outcome struct {
	n   int
	err error
}

func destroyUser(ctx context.Context, b *bridge.Bridge, user string) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		n, err := b.DestroyUser(ctx, user)
		done <- outcome{n, err}
	}()
	return done
}

// logIn logs in in the background.
func logIn(t *testing.T, app http.Handler, p pocket, user string) <-chan int {
	done := make(chan int, 1)
	go func() { done <- p.get(t, app, "/login?user="+user).Code }()
	return done
}

func exists(t testing.TB, b *bridge.Bridge, id string) bool {
	t.Helper()
	_, err := b.GetByID(t.Context(), id)
	if !errors.Is(err, bridge.ErrSessionMissing) {
		require.NoError(t, err)
	}
	return err == nil
}

func TestS10_DestroyUserEndsEverySessionOfTheUserAndTheirSockets(t *testing.T) {
	for _, name := range []string{"all indexes", "activity only", "list only"} {
		t.Run(name, func(t *testing.T) {
			b := newBridge(t, poorer(livestore.New())[name], nil)
			app := b.Handler(newApp(b))
			s := serve(t, app)
			br := newBrowser(t, s)
			br.ok("/login?user=ada")
			ws := br.dial("/ws")
			require.NotEmpty(t, ws.ask("id"))
			signIn(t, app, "ada")
			bob, bobs := signIn(t, app, "bob")
			events := record[bridge.SessionDestroy](t, b)
			n, err := b.DestroyUser(t.Context(), "ada")
			require.NoError(t, err)
			require.Equal(t, 2, n)
			require.Equal(t, bridge.CodeDestroyed, ws.closed())
			require.Empty(t, listed(t, b, bridge.Filter{UserID: "ada"}))
			require.Equal(t, bobs, bob.get(t, app, "/id").Body.String(), "bob noticed nothing")
			for range 2 {
				ev := events.next()
				require.Equal(t, bridge.ReasonDestroyed, ev.Reason)
				require.Equal(t, bridge.ViaAPI, ev.Via)
			}
			n, err = b.DestroyUser(t.Context(), "ada")
			require.NoError(t, err)
			require.Zero(t, n, "once is enough")
		})
	}
}

func TestS10_SignOutMyOtherDevicesKeepsThisOne(t *testing.T) {
	b := newBridge(t, livestore.New(), nil)
	app := b.Handler(newApp(b))
	here, mine := signIn(t, app, "ada")
	_, other := signIn(t, app, "ada")
	n, err := b.DestroyUser(t.Context(), "ada", mine, "an unknown one", "")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.False(t, exists(t, b, other))
	require.Equal(t, mine, here.get(t, app, "/id").Body.String())
}

func TestDestroyUserRefusesWhatIsNoUser(t *testing.T) {
	b := newBridge(t, livestore.New(), nil)
	app := b.Handler(newApp(b))
	anonymous := pocket{}
	anonymous.get(t, app, "/inc")
	for _, user := range []string{"", "a\x00b", "\xff", strings.Repeat("x", 256)} {
		n, err := b.DestroyUser(t.Context(), user)
		require.ErrorIs(t, err, bridge.ErrUserID)
		require.Zero(t, n)
	}
	require.Equal(t, "1", anonymous.get(t, app, "/get").Body.String(), "nobody's sessions are not a user's")
}

func TestDestroyUserEndsTheLoginThatIsOnItsWayToTheStore(t *testing.T) {
	st := newFaultyStore()
	b := newBridge(t, st, nil)
	app := b.Handler(newApp(b))
	on := newGate()
	st.next(1, "Set", on.wait)
	login := logIn(t, app, pocket{}, "ada")
	receive(t, on.reached)
	ended := destroyUser(t.Context(), b, "ada")
	require.Never(t, func() bool { return len(ended) > 0 }, 20*time.Millisecond, 5*time.Millisecond, "it waits for the login")
	close(on.opened)
	require.Equal(t, http.StatusOK, receive(t, login), "the login was first")
	require.Equal(t, outcome{1, nil}, receive(t, ended))
	require.Empty(t, listed(t, b, bridge.Filter{}))
}

func TestDestroyUserWaitsForLoginsOnlyAsLongAsItsContextSays(t *testing.T) {
	st := newFaultyStore()
	b := newBridge(t, st, nil)
	app := b.Handler(newApp(b))
	on := newGate()
	st.next(1, "Set", on.wait)
	login := logIn(t, app, pocket{}, "ada")
	receive(t, on.reached)
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := destroyUser(ctx, b, "ada")
	enough := errors.New("enough")
	cancel(enough)
	require.ErrorIs(t, receive(t, ended).err, enough)
	close(on.opened)
	require.Equal(t, http.StatusOK, receive(t, login))
}

// A DestroyUser that is under way, held up at the first session that it destroys.
func heldUp(t *testing.T, st *faultyStore, b *bridge.Bridge, user string) (ended <-chan outcome, release func()) {
	t.Helper()
	on := newGate()
	st.next(1, "Destroy", on.wait)
	ended = destroyUser(t.Context(), b, user)
	receive(t, on.reached)
	return ended, func() { close(on.opened) }
}

func TestLoginDuringDestroyUserNeitherWaitsNorEnds(t *testing.T) {
	st := newFaultyStore()
	b := newBridge(t, st, nil)
	app := b.Handler(newApp(b))
	_, old := signIn(t, app, "ada")
	switching, switched := signIn(t, app, "bob")
	ended, release := heldUp(t, st, b, "ada")
	p, fresh := signIn(t, app, "ada")
	require.Equal(t, http.StatusOK, switching.get(t, app, "/login?user=ada").Code)
	require.Equal(t, http.StatusOK, switching.get(t, app, "/login?user=ada").Code, "and once more")
	release()
	require.Equal(t, outcome{1, nil}, receive(t, ended))
	require.False(t, exists(t, b, old))
	require.Equal(t, fresh, p.get(t, app, "/id").Body.String(), "it came after the DestroyUser")
	require.Equal(t, switched, switching.get(t, app, "/id").Body.String(), "likewise")
}

func TestSessionThatIsAboutToEndCannotLogInAway(t *testing.T) {
	for _, user := range []string{"ada", "bob"} {
		t.Run("as "+user, func(t *testing.T) {
			st := newFaultyStore()
			b := newBridge(t, st, nil)
			app := b.Handler(newApp(b))
			kept, excepted := signIn(t, app, "ada")
			pockets := map[string]pocket{}
			for range 2 {
				p, id := signIn(t, app, "ada")
				pockets[id] = p
			}
			on := newGate()
			st.next(1, "Destroy", on.wait)
			st.next(2, "Destroy", on.wait)
			ended := make(chan outcome, 1)
			go func() {
				n, err := b.DestroyUser(t.Context(), "ada", excepted)
				ended <- outcome{n, err}
			}()
			receive(t, on.reached)
			receive(t, on.reached)
			codes := make(chan int, 2)
			for _, p := range pockets {
				go func() { codes <- p.get(t, app, "/login?user="+user).Code }()
			}
			require.Equal(t, http.StatusOK, kept.get(t, app, "/login?user="+user).Code, "an excepted one can")
			close(on.opened)
			for range 2 {
				receive(t, codes)
			}
			require.Equal(t, outcome{2, nil}, receive(t, ended))
			for id := range pockets {
				require.False(t, exists(t, b, id))
			}
			require.True(t, exists(t, b, excepted))
		})
	}
}

func TestLoginAgainWhileTheSessionIsAboutToEndEndsIt(t *testing.T) {
	st := newFaultyStore()
	b := newBridge(t, st, nil)
	app := b.Handler(newApp(b))
	pockets := map[string]pocket{}
	for range 40 { // more than are ended at once, so that some have to wait for their end
		p, id := signIn(t, app, "ada")
		pockets[id] = p
	}
	on := newGate()
	for i := range 32 {
		st.next(i+1, "Destroy", on.wait)
	}
	ended := destroyUser(t.Context(), b, "ada")
	for range 32 {
		receive(t, on.reached)
	}
	helped := 0
	for _, info := range listed(t, b, bridge.Filter{UserID: "ada"})[32:] { // the store lists them in the same order
		require.Equal(t, http.StatusUnauthorized, pockets[info.ID].get(t, app, "/login?user=ada").Code)
		require.False(t, exists(t, b, info.ID), "it ended on the spot")
		helped++
	}
	require.Equal(t, 8, helped)
	close(on.opened)
	require.Equal(t, outcome{40, nil}, receive(t, ended), "those are counted as well")
	require.Empty(t, listed(t, b, bridge.Filter{}))
}

func TestDestroyUserGoesOnPastFailures(t *testing.T) {
	st := newFaultyStore()
	b := newBridge(t, st, nil)
	app := b.Handler(newApp(b))
	for range 10 {
		signIn(t, app, "ada")
	}
	broken := errors.New("disk on fire")
	st.next(3, "Destroy", refuse(broken))
	st.next(5, "Destroy", func(context.Context, func() error) error { panic("the store has a bug") })
	n, err := b.DestroyUser(t.Context(), "ada")
	require.Equal(t, 8, n)
	require.ErrorIs(t, err, broken)
	require.ErrorIs(t, err, bridge.ErrStoreUnavailable)
	require.ErrorContains(t, err, "the store has a bug")
	n, err = b.DestroyUser(t.Context(), "ada")
	require.NoError(t, err)
	require.Equal(t, 2, n)
}

func TestDestroyUserGivesUpWhenTheStoreIsDown(t *testing.T) {
	st := newFaultyStore()
	b := newBridge(t, st, nil)
	app := b.Handler(newApp(b))
	for range 200 {
		signIn(t, app, "ada")
	}
	broken := errors.New("down")
	st.always(refuse(broken), "Destroy")
	n, err := b.DestroyUser(t.Context(), "ada")
	require.Zero(t, n)
	require.ErrorIs(t, err, broken)
	require.LessOrEqual(t, st.count("Destroy"), 2*32, "it doesn't try them all")
	st.heal()
}

func TestListedSessionCanBeDestroyedByTheIDItIsListedWith(t *testing.T) {
	b := newBridge(t, livestore.New(), nil)
	app := b.Handler(newApp(b))
	for range 10 {
		signIn(t, app, "a:b")
	}
	for info, err := range b.Sessions(t.Context(), bridge.Filter{UserID: "a:b"}) {
		require.NoError(t, err)
		was, err := b.DestroyByID(t.Context(), info.ID) // within the loop
		require.NoError(t, err)
		require.True(t, was)
	}
	require.Empty(t, listed(t, b, bridge.Filter{}))
}

func TestDestroyUserDoesNotCountTheExpired(t *testing.T) {
	st := livestore.New()
	b := newBridge(t, st, nil)
	app := b.Handler(newApp(b))
	_, id := signIn(t, app, "ada")
	rec := stored(t, st, id)
	rec.Expires = rec.Created
	_, err := st.Set(t.Context(), rec)
	require.NoError(t, err)
	events := record[bridge.SessionDestroy](t, b)
	n, err := b.DestroyUser(t.Context(), "ada")
	require.NoError(t, err)
	require.Zero(t, n)
	require.Equal(t, bridge.ReasonExpired, events.next().Reason)
	_, err = st.Get(t.Context(), id)
	require.ErrorIs(t, err, store.ErrNotFound)
}
