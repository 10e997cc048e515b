package guarantees_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
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
	"github.com/sessionbridge/sessionbridge/store"
)

// A function of WithSession that outlives its request gets an error: its change isn't stored.
func TestFunctionThatOutstaysItsRequestIsToldThatItsChangeIsLost(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	over, inside, result := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	a.Page("/leave", func(r *http.Request) (any, error) {
		go func() {
			result <- a.WithSession(r, func(_ context.Context, s *bridge.Session) error {
				close(inside)
				<-over
				s.Set("k", 1)
				return nil
			}, nil)
		}()
		<-inside
		return "left", nil
	})
	h, p := a.Handler(a.Mux), webclient.Pocket{}
	require.Equal(t, 200, p.Get(t, h, "/inc").Code)
	require.Equal(t, 200, p.Get(t, h, "/leave").Code)
	close(over)
	require.ErrorIs(t, await.Receive(t, result), bridge.ErrSessionClosed)
}

// A token that was replaced in the future, because the clock was set back, opens nothing.
func TestPreviousTokenThatWasReplacedInTheFutureOpensNothing(t *testing.T) {
	st := livestore.New()
	a := testkit.NewApp(t, st, &bridge.Options{RotateGrace: time.Minute})
	h, p := a.Handler(a.Mux), webclient.Pocket{}
	require.Equal(t, 200, p.Get(t, h, "/inc").Code)
	id := p.Get(t, h, "/id").Body.String()
	old := webclient.Pocket{"sid": p["sid"], "sid.cid": p["sid.cid"]}
	require.Equal(t, 200, p.Get(t, h, "/rotate").Code)
	require.Equal(t, id, webclient.Pocket{"sid": old["sid"], "sid.cid": old["sid.cid"]}.Get(t, h, "/id").Body.String(), "within the grace")
	rec, err := st.Get(t.Context(), id)
	require.NoError(t, err)
	rec.RotatedAt = time.Now().Add(time.Hour)
	_, err = st.Set(t.Context(), rec)
	require.NoError(t, err)
	require.NotEqual(t, id, old.Get(t, h, "/id").Body.String())
}

// A response whose client has hung up renews no token: no client would receive it.
func TestResponseWhoseClientHasHungUpRenewsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a := testkit.NewApp(t, st, &bridge.Options{RenewEvery: time.Minute})
		h, p := a.Handler(a.Mux), webclient.Pocket{}
		require.Equal(t, 200, p.Get(t, h, "/inc").Code)
		id := p.Get(t, h, "/id").Body.String()
		time.Sleep(2 * time.Minute)
		ctx, hangUp := context.WithCancel(t.Context())
		a.Page("/hangup", func(r *http.Request) (any, error) {
			_, err := a.Session(r)
			hangUp()
			return "late", err
		})
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/hangup", nil)
		for name, value := range p {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Empty(t, w.Header()["Set-Cookie"])
		rec, err := st.Get(t.Context(), id)
		require.NoError(t, err)
		require.EqualValues(t, 1, rec.TokenGeneration)
		require.NotEmpty(t, p.Get(t, h, "/get").Header()["Set-Cookie"], "the next one renews it")
	})
}

// The error answer for a session that could not be stored is not cached, whatever headers the
// handler has set.
func TestAnswerInPlaceOfAFailedCommitIsNotCached(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, nil)
	a.Mux.HandleFunc("/cached", func(w http.ResponseWriter, r *http.Request) {
		s, err := a.Session(r)
		require.NoError(t, err)
		s.Set("k", 1)
		w.Header().Set("Cache-Control", "public, max-age=60")
	})
	h, p := a.Handler(a.Mux), webclient.Pocket{}
	require.Equal(t, 200, p.Get(t, h, "/inc").Code)
	st.Always(teststore.Refuse(teststore.ErrDiskFull), "Set")
	w := p.Get(t, h, "/cached")
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
}

// lookedAt calls its hook, once, before a Get of the session.
type lookedAt struct {
	*livestore.Store
	id   string
	hook atomic.Pointer[func()]
}

func (l *lookedAt) Get(ctx context.Context, id string) (store.Record, error) {
	if id == l.id {
		if hook := l.hook.Swap(nil); hook != nil {
			(*hook)()
		}
	}
	return l.Store.Get(ctx, id)
}

// A session that becomes another user's while the surplus sessions are being found is not evicted.
func TestSessionThatHasBecomeAnotherUsersIsNotEvicted(t *testing.T) {
	st := &lookedAt{Store: livestore.New()}
	a := testkit.NewApp(t, st, &bridge.Options{MaxSessionsPerUser: 1})
	h := a.Handler(a.Mux)
	_, phone := testkit.SignIn(t, h, "ada")
	st.id = phone
	becomesBobs := func() {
		rec, err := st.Store.Get(t.Context(), phone)
		require.NoError(t, err)
		rec.UserID = "bob"
		_, err = st.Set(t.Context(), rec)
		require.NoError(t, err)
	}
	st.hook.Store(&becomesBobs)
	testkit.SignIn(t, h, "ada")
	require.Nil(t, st.hook.Load(), "it was looked at")
	rec, err := st.Store.Get(t.Context(), phone)
	require.NoError(t, err)
	require.Equal(t, "bob", rec.UserID)
}

// The function of PerConnection never gets a session that ended while it was being loaded.
func TestPerConnectionOfASessionThatEndsWhileItIsLoaded(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, &bridge.Options{OnSessionEnd: bridge.KeepConns})
	ran := make(chan *bridge.Session, 1)
	a.Mux.Handle("/held", a.PerConnection(func(_ context.Context, _ *bridge.Conn, s *bridge.Session) error {
		ran <- s
		return nil
	}, nil))
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	id := br.OK("/id")
	st.Next(3, "Get", func(_ context.Context, get func() error) error { // after those of the handshake
		err := get()
		_, destroyed := a.DestroyByID(t.Context(), id)
		require.NoError(t, destroyed)
		return err
	})
	require.NotEqual(t, -1, br.Dial("/held").Closed())
	require.Empty(t, ran)
}
