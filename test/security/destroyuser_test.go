package security_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// outcome has the results of a bulk destroy.
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
func logIn(t *testing.T, app http.Handler, p webclient.Pocket, user string) <-chan int {
	done := make(chan int, 1)
	go func() { done <- p.Get(t, app, "/login?user="+user).Code }()
	return done
}

func TestS10_DestroyUserEndsEverySessionOfTheUserAndTheirSockets(t *testing.T) {
	for _, name := range []string{"all indexes", "activity only", "list only"} {
		t.Run(name, func(t *testing.T) {
			b := testkit.NewBridge(t, teststore.Poorer(livestore.New())[name], nil)
			app := b.Handler(testkit.NewMux(b))
			s := webclient.Serve(t, app)
			br := webclient.NewBrowser(t, s)
			br.OK("/login?user=ada")
			ws := br.Dial("/ws")
			require.NotEmpty(t, ws.Ask("id"))
			testkit.SignIn(t, app, "ada")
			bob, bobs := testkit.SignIn(t, app, "bob")
			events := testkit.Record[bridge.SessionDestroy](t, b)
			n, err := b.DestroyUser(t.Context(), "ada")
			require.NoError(t, err)
			require.Equal(t, 2, n)
			require.Equal(t, bridge.CodeDestroyed, ws.Closed())
			require.Empty(t, testkit.Listed(t, b, bridge.Filter{UserID: "ada"}))
			require.Equal(t, bobs, bob.Get(t, app, "/id").Body.String(), "bob noticed nothing")
			for range 2 {
				ev := events.Next()
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
	b := testkit.NewBridge(t, livestore.New(), nil)
	app := b.Handler(testkit.NewMux(b))
	here, mine := testkit.SignIn(t, app, "ada")
	_, other := testkit.SignIn(t, app, "ada")
	n, err := b.DestroyUser(t.Context(), "ada", mine, "an unknown one", "")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.False(t, testkit.SessionExists(t, b, other))
	require.Equal(t, mine, here.Get(t, app, "/id").Body.String())
}

func TestDestroyUserRefusesWhatIsNoUser(t *testing.T) {
	b := testkit.NewBridge(t, livestore.New(), nil)
	app := b.Handler(testkit.NewMux(b))
	anonymous := webclient.Pocket{}
	anonymous.Get(t, app, "/inc")
	for _, user := range []string{"", "a\x00b", "\xff", strings.Repeat("x", 256)} {
		n, err := b.DestroyUser(t.Context(), user)
		require.ErrorIs(t, err, bridge.ErrUserID)
		require.Zero(t, n)
	}
	require.Equal(t, "1", anonymous.Get(t, app, "/get").Body.String(), "nobody's sessions are not a user's")
}

func TestDestroyUserEndsTheLoginThatIsOnItsWayToTheStore(t *testing.T) {
	st := teststore.NewFaulty()
	b := testkit.NewBridge(t, st, nil)
	app := b.Handler(testkit.NewMux(b))
	on := teststore.NewGate()
	st.Next(1, "Set", on.Wait)
	login := logIn(t, app, webclient.Pocket{}, "ada")
	await.Receive(t, on.Reached)
	ended := destroyUser(t.Context(), b, "ada")
	require.Never(t, func() bool { return len(ended) > 0 }, 20*time.Millisecond, 5*time.Millisecond, "it waits for the login")
	close(on.Opened)
	require.Equal(t, http.StatusOK, await.Receive(t, login), "the login was first")
	require.Equal(t, outcome{1, nil}, await.Receive(t, ended))
	require.Empty(t, testkit.Listed(t, b, bridge.Filter{}))
}

func TestDestroyUserWaitsForLoginsOnlyAsLongAsItsContextSays(t *testing.T) {
	st := teststore.NewFaulty()
	b := testkit.NewBridge(t, st, nil)
	app := b.Handler(testkit.NewMux(b))
	on := teststore.NewGate()
	st.Next(1, "Set", on.Wait)
	login := logIn(t, app, webclient.Pocket{}, "ada")
	await.Receive(t, on.Reached)
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := destroyUser(ctx, b, "ada")
	enough := errors.New("enough")
	cancel(enough)
	require.ErrorIs(t, await.Receive(t, ended).err, enough)
	close(on.Opened)
	require.Equal(t, http.StatusOK, await.Receive(t, login))
}

// heldUp starts a DestroyUser that blocks at the first session that it destroys.
func heldUp(t *testing.T, st *teststore.Faulty, b *bridge.Bridge, user string) (ended <-chan outcome, release func()) {
	t.Helper()
	on := teststore.NewGate()
	st.Next(1, "Destroy", on.Wait)
	ended = destroyUser(t.Context(), b, user)
	await.Receive(t, on.Reached)
	return ended, func() { close(on.Opened) }
}

func TestLoginDuringDestroyUserNeitherWaitsNorEnds(t *testing.T) {
	st := teststore.NewFaulty()
	b := testkit.NewBridge(t, st, nil)
	app := b.Handler(testkit.NewMux(b))
	_, old := testkit.SignIn(t, app, "ada")
	switching, switched := testkit.SignIn(t, app, "bob")
	ended, release := heldUp(t, st, b, "ada")
	p, fresh := testkit.SignIn(t, app, "ada")
	require.Equal(t, http.StatusOK, switching.Get(t, app, "/login?user=ada").Code)
	require.Equal(t, http.StatusOK, switching.Get(t, app, "/login?user=ada").Code, "and once more")
	release()
	require.Equal(t, outcome{1, nil}, await.Receive(t, ended))
	require.False(t, testkit.SessionExists(t, b, old))
	require.Equal(t, fresh, p.Get(t, app, "/id").Body.String(), "it came after the DestroyUser")
	require.Equal(t, switched, switching.Get(t, app, "/id").Body.String(), "likewise")
}

func TestSessionThatIsAboutToEndCannotLogInAway(t *testing.T) {
	for _, user := range []string{"ada", "bob"} {
		t.Run("as "+user, func(t *testing.T) {
			st := teststore.NewFaulty()
			b := testkit.NewBridge(t, st, nil)
			app := b.Handler(testkit.NewMux(b))
			kept, excepted := testkit.SignIn(t, app, "ada")
			pockets := map[string]webclient.Pocket{}
			for range 2 {
				p, id := testkit.SignIn(t, app, "ada")
				pockets[id] = p
			}
			on := teststore.NewGate()
			st.Next(1, "Destroy", on.Wait)
			st.Next(2, "Destroy", on.Wait)
			ended := make(chan outcome, 1)
			go func() {
				n, err := b.DestroyUser(t.Context(), "ada", excepted)
				ended <- outcome{n, err}
			}()
			await.Receive(t, on.Reached)
			await.Receive(t, on.Reached)
			codes := make(chan int, 2)
			for _, p := range pockets {
				go func() { codes <- p.Get(t, app, "/login?user="+user).Code }()
			}
			require.Equal(t, http.StatusOK, kept.Get(t, app, "/login?user="+user).Code, "an excepted one can")
			close(on.Opened)
			for range 2 {
				await.Receive(t, codes)
			}
			require.Equal(t, outcome{2, nil}, await.Receive(t, ended))
			for id := range pockets {
				require.False(t, testkit.SessionExists(t, b, id))
			}
			require.True(t, testkit.SessionExists(t, b, excepted))
		})
	}
}

func TestLoginAgainWhileTheSessionIsAboutToEndEndsIt(t *testing.T) {
	st := teststore.NewFaulty()
	b := testkit.NewBridge(t, st, nil)
	app := b.Handler(testkit.NewMux(b))
	pockets := map[string]webclient.Pocket{}
	for range 40 { // more than are ended at once, so that some have to wait for their end
		p, id := testkit.SignIn(t, app, "ada")
		pockets[id] = p
	}
	on := teststore.NewGate()
	for i := range 32 {
		st.Next(i+1, "Destroy", on.Wait)
	}
	ended := destroyUser(t.Context(), b, "ada")
	for range 32 {
		await.Receive(t, on.Reached)
	}
	helped := 0
	for _, info := range testkit.Listed(t, b, bridge.Filter{UserID: "ada"})[32:] { // the store lists them in the same order
		require.Equal(t, http.StatusUnauthorized, pockets[info.ID].Get(t, app, "/login?user=ada").Code)
		require.False(t, testkit.SessionExists(t, b, info.ID), "it ended on the spot")
		helped++
	}
	require.Equal(t, 8, helped)
	close(on.Opened)
	require.Equal(t, outcome{40, nil}, await.Receive(t, ended), "those are counted as well")
	require.Empty(t, testkit.Listed(t, b, bridge.Filter{}))
}

func TestDestroyUserGoesOnPastFailures(t *testing.T) {
	st := teststore.NewFaulty()
	b := testkit.NewBridge(t, st, nil)
	app := b.Handler(testkit.NewMux(b))
	for range 10 {
		testkit.SignIn(t, app, "ada")
	}
	broken := errors.New("disk on fire")
	st.Next(3, "Destroy", teststore.Refuse(broken))
	st.Next(5, "Destroy", func(context.Context, func() error) error { panic("the store has a bug") })
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
	st := teststore.NewFaulty()
	b := testkit.NewBridge(t, st, nil)
	app := b.Handler(testkit.NewMux(b))
	for range 200 {
		testkit.SignIn(t, app, "ada")
	}
	broken := errors.New("down")
	st.Always(teststore.Refuse(broken), "Destroy")
	n, err := b.DestroyUser(t.Context(), "ada")
	require.Zero(t, n)
	require.ErrorIs(t, err, broken)
	require.LessOrEqual(t, st.Count("Destroy"), 2*32, "it doesn't try them all")
	st.Heal()
}

func TestListedSessionCanBeDestroyedByTheIDItIsListedWith(t *testing.T) {
	b := testkit.NewBridge(t, livestore.New(), nil)
	app := b.Handler(testkit.NewMux(b))
	for range 10 {
		testkit.SignIn(t, app, "a:b")
	}
	for info, err := range b.Sessions(t.Context(), bridge.Filter{UserID: "a:b"}) {
		require.NoError(t, err)
		was, err := b.DestroyByID(t.Context(), info.ID) // within the loop
		require.NoError(t, err)
		require.True(t, was)
	}
	require.Empty(t, testkit.Listed(t, b, bridge.Filter{}))
}

func TestDestroyUserDoesNotCountTheExpired(t *testing.T) {
	st := livestore.New()
	b := testkit.NewBridge(t, st, nil)
	app := b.Handler(testkit.NewMux(b))
	_, id := testkit.SignIn(t, app, "ada")
	rec := teststore.Stored(t, st, id)
	rec.Expires = rec.Created
	_, err := st.Set(t.Context(), rec)
	require.NoError(t, err)
	events := testkit.Record[bridge.SessionDestroy](t, b)
	n, err := b.DestroyUser(t.Context(), "ada")
	require.NoError(t, err)
	require.Zero(t, n)
	require.Equal(t, bridge.ReasonExpired, events.Next().Reason)
	_, err = st.Get(t.Context(), id)
	require.ErrorIs(t, err, store.ErrNotFound)
}
