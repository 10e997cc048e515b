package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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

type beforeCommit = func(ctx context.Context, s *bridge.Session) error

// stamp is a BeforeCommit that counts the commits in the session.
func stamp(_ context.Context, s *bridge.Session) error {
	n, _ := stamps.Get(s)
	stamps.Set(s, n+1)
	return nil
}

var stamps = bridge.NewKey[int]("stamps")

// errBanned is what refuseBanned returns for a session with the value "banned".
var errBanned = errors.New("banned")

func refuseBanned(_ context.Context, s *bridge.Session) error {
	if _, banned := s.Get("banned"); banned {
		return errBanned
	}
	return nil
}

// newHooked returns an application with the hook, and the cookies and the session of a visitor that
// has stored once.
func newHooked(t *testing.T, st store.Store, hook beforeCommit) (*testkit.App, http.Handler, webclient.Pocket, string) {
	t.Helper()
	a := testkit.NewApp(t, st, &bridge.Options{BeforeCommit: hook})
	a.SessionPage("/ban", func(s *bridge.Session) (any, error) { s.Set("banned", true); return "", nil })
	h := a.Handler(a.Mux)
	p := webclient.Pocket{}
	p.Get(t, h, "/inc")
	return a, h, p, p.Get(t, h, "/id").Body.String()
}

// stamped returns how often the session has been stamped.
func stamped(t *testing.T, a *testkit.App, id string) int {
	t.Helper()
	n, _ := stamps.Get(testkit.Snapshot(t, a, id))
	return n
}

func TestBeforeCommitSeesEachChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, h, p, id := newHooked(t, livestore.New(), stamp)
		require.Equal(t, 1, stamped(t, a, id))
		a.SessionPage("/set", func(s *bridge.Session) (any, error) { s.Set("k", 1); return "", nil })
		a.Mux.HandleFunc("/late", func(w http.ResponseWriter, r *http.Request) {
			s, err := a.Session(r)
			require.NoError(t, err)
			w.WriteHeader(http.StatusOK)
			s.Set("late", 1)
		})
		set := map[string]any{"k": 2}
		for name, change := range map[string]func() error{
			"a request":              func() error { p.Get(t, h, "/set"); return nil },
			"a change after headers": func() error { p.Get(t, h, "/late"); return nil },
			"WithSession":            func() error { p.Get(t, h, "/inc"); return nil },
			"a login":                func() error { p.Get(t, h, "/login?user=ada"); return nil },
			"a rotation":             func() error { p.Get(t, h, "/rotate"); return nil },
			"UpdateByID":             func() error { return a.Update(t, id, func(s *bridge.Session) { s.Set("k", 3) }) },
			"MergeByID":              func() error { _, err := a.MergeByID(t.Context(), id, set); return err },
		} {
			before := stamped(t, a, id)
			require.NoError(t, change(), name)
			require.Equal(t, before+1, stamped(t, a, id), name)
		}
		require.NoError(t, a.SetByID(t.Context(), id, set, 0))
		require.Equal(t, 1, stamped(t, a, id), "its values are replaced")

		p.Get(t, h, "/get")
		require.NoError(t, a.Update(t, id, func(s *bridge.Session) { s.Set("k", 2) }))
		time.Sleep(2 * time.Minute)
		p.Get(t, h, "/get")
		require.NoError(t, a.TouchByID(t.Context(), id))
		require.Equal(t, 1, stamped(t, a, id), "nothing has changed, or only the time of the last activity")
	})
}

func TestBeforeCommitOnConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{BeforeCommit: stamp})
		h := testkit.NewHolderAt(t, a, a.ServeInMemory(t), nil, nil)
		id := h.Session.ID()
		require.Equal(t, 1, stamped(t, a, id))
		h.Session.Set("draft", 1)
		require.NoError(t, h.Conn.SaveSession(t.Context()))
		require.Equal(t, 2, stamped(t, a, id))
		h.Session.Set("draft", 2)
		time.Sleep(saveEvery)
		synctest.Wait()
		require.Equal(t, 3, stamped(t, a, id))
		require.NoError(t, h.Conn.WithSession(t.Context(), testkit.Set("draft", 3), nil))
		require.Equal(t, 4, stamped(t, a, id))
		h.Session.Set("draft", 4)
		h.Finish(nil)
		require.Equal(t, 5, stamped(t, a, id))
		h.Browser.Dial("/ws").Ask("inc")
		require.Equal(t, 6, stamped(t, a, id))
	})
}

func TestBeforeCommitRefuses(t *testing.T) {
	st := livestore.New()
	a, h, p, id := newHooked(t, st, refuseBanned)
	before := teststore.Stored(t, st, id)
	w := p.Get(t, h, "/ban")
	require.Equal(t, http.StatusUnprocessableEntity, w.Code)
	require.Equal(t, "The change is not allowed.\n", w.Body.String())
	require.EqualValues(t, 1, a.Stats().RefusedCommits)

	err := a.Update(t, id, func(s *bridge.Session) { s.Set("banned", true) })
	require.ErrorIs(t, err, bridge.ErrRefused)
	require.ErrorIs(t, err, errBanned)
	require.Equal(t, http.StatusUnprocessableEntity, bridge.HTTPStatus(err))
	require.Equal(t, bridge.CodePolicy, bridge.CloseCode(err))
	require.Equal(t, before, teststore.Stored(t, st, id))

	a.Page("/then", func(r *http.Request) (any, error) {
		err := a.WithSession(r, testkit.Set("banned", true), nil)
		require.ErrorIs(t, err, errBanned)
		return bridge.WithSession(r.Context(), a.For(r), testkit.Increment, nil)
	})
	require.Equal(t, "2", p.Get(t, h, "/then").Body.String(), "the refused change is undone, others go on")

	created := webclient.Pocket{}
	require.Equal(t, http.StatusUnprocessableEntity, created.Get(t, h, "/ban").Code)
	require.NotContains(t, created, "sid")
	require.Equal(t, 1, teststore.StoredCount(t, st))
}

// An error with a status of its own keeps it.
func TestBeforeCommitChoosesTheStatus(t *testing.T) {
	_, h, p, _ := newHooked(t, livestore.New(), func(_ context.Context, s *bridge.Session) error {
		if _, banned := s.Get("banned"); banned {
			return fmt.Errorf("not now: %w", bridge.ErrAuthAge)
		}
		return nil
	})
	require.Equal(t, http.StatusUnauthorized, p.Get(t, h, "/ban").Code)
}

// A hook that fails, or that does what it can't do, is no refusal: the client has caused nothing, so
// it is a Failure.
func TestBeforeCommitThatFails(t *testing.T) {
	for name, c := range map[string]struct {
		err    func(s *bridge.Session) error
		is     error
		status int
		code   int
	}{
		"its database is away": {
			func(*bridge.Session) error {
				return fmt.Errorf("%w: ask the database: %w", bridge.ErrStoreUnavailable, errors.New("away"))
			}, bridge.ErrStoreUnavailable, http.StatusServiceUnavailable, bridge.CodeUnavailable,
		},
		"it logs in": {
			func(s *bridge.Session) error { return s.Login("ada") },
			bridge.ErrNoCookies, http.StatusInternalServerError, bridge.CodeFailed,
		},
		"it rotates": {
			func(s *bridge.Session) error { return fmt.Errorf("the hook: %w", s.Rotate()) },
			bridge.ErrNoCookies, http.StatusInternalServerError, bridge.CodeFailed,
		},
		"it nests": {
			func(*bridge.Session) error { return bridge.ErrNested },
			bridge.ErrNested, http.StatusInternalServerError, bridge.CodeFailed,
		},
	} {
		t.Run(name, func(t *testing.T) {
			st := livestore.New()
			a, h, p, id := newHooked(t, st, func(_ context.Context, s *bridge.Session) error {
				if _, banned := s.Get("banned"); banned {
					return c.err(s)
				}
				return nil
			})
			failures := testkit.Record[bridge.Failure](t, a.Bridge)
			before := teststore.Stored(t, st, id)
			w := p.Get(t, h, "/ban")
			require.Equal(t, c.status, w.Code)
			require.NotContains(t, w.Body.String(), "not allowed")
			failure := failures.Next()
			require.ErrorIs(t, failure.Err, c.is)
			require.Equal(t, id, failure.SessionID)
			require.EqualValues(t, 1, a.Stats().FailedCommits)
			require.Zero(t, a.Stats().RefusedCommits)
			require.Equal(t, before, teststore.Stored(t, st, id))

			err := a.Update(t, id, func(s *bridge.Session) { s.Set("banned", true) })
			require.ErrorIs(t, err, bridge.ErrRefused)
			require.Equal(t, c.status, bridge.HTTPStatus(err))
			require.Equal(t, c.code, bridge.CloseCode(err))
		})
	}
}

// A save of a PerConnection that is refused keeps the changes, and is reported.
func TestBeforeCommitRefusesASave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{BeforeCommit: refuseBanned})
		failures := testkit.Record[bridge.Failure](t, a.Bridge)
		h := testkit.NewHolderAt(t, a, a.ServeInMemory(t), nil, nil)
		h.Session.Set("banned", true)
		require.ErrorIs(t, h.Conn.SaveSession(t.Context()), errBanned)
		time.Sleep(saveEvery)
		require.ErrorIs(t, failures.Next().Err, bridge.ErrRefused)
		h.Session.Delete("banned")
		h.Session.Set("draft", 1)
		h.Finish(nil)
		_, ok := testkit.Snapshot(t, a, h.Session.ID()).Get("draft")
		require.True(t, ok)
	})
}

// A refused save is counted as other refused commits are. At the end of the connection the changes
// since the last save are lost, and its client learns why.
func TestBeforeCommitRefusesTheLastSave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{BeforeCommit: refuseBanned})
		failures := testkit.Record[bridge.Failure](t, a.Bridge)
		h := testkit.NewHolderAt(t, a, a.ServeInMemory(t), nil, nil)
		h.Session.Set("banned", true)
		require.Equal(t, bridge.CodePolicy, h.Finish(nil).Code)
		require.ErrorIs(t, failures.Next().Err, errBanned)
		_, stored := testkit.Snapshot(t, a, h.Session.ID()).Get("banned")
		require.False(t, stored)
		require.EqualValues(t, 1, a.Stats().RefusedCommits)
		require.Zero(t, a.Stats().SaveFailures)
	})
}

// After a conflict it runs again, with the function.
func TestBeforeCommitRunsAgainAfterAConflict(t *testing.T) {
	st := livestore.New()
	a, _, _, id := newHooked(t, st, stamp)
	ran := 0
	require.NoError(t, a.Update(t, id, func(s *bridge.Session) {
		if ran++; ran == 1 {
			rec := teststore.Stored(t, st, id)
			rec.Data = []byte(`{"stamps":10}`)
			_, err := st.Set(t.Context(), rec)
			require.NoError(t, err)
		}
		s.Set("k", 1)
	}))
	require.Equal(t, 2, ran)
	require.Equal(t, 11, stamped(t, a, id))
}

// A panic in WithSession goes on in its caller. In a commit without one it fails the commit.
// Neither stores anything or leaves a lock.
func TestBeforeCommitPanics(t *testing.T) {
	st := livestore.New()
	a, h, p, id := newHooked(t, st, func(_ context.Context, s *bridge.Session) error {
		if _, banned := s.Get("banned"); banned {
			panic("in the hook")
		}
		return nil
	})
	failures := testkit.Record[bridge.Failure](t, a.Bridge)
	before := teststore.Stored(t, st, id)
	require.PanicsWithValue(t, "in the hook", func() {
		_ = a.Update(t, id, func(s *bridge.Session) { s.Set("banned", true) })
	})
	require.Equal(t, http.StatusInternalServerError, p.Get(t, h, "/ban").Code)
	failure := failures.Next()
	require.ErrorIs(t, failure.Err, bridge.ErrPanicked)
	require.Equal(t, id, failure.SessionID)
	require.Equal(t, before, teststore.Stored(t, st, id))
	require.Equal(t, "2", p.Get(t, h, "/inc").Body.String())
}

// It may end the session, and call WithSession with its context: it runs on the same changes.
func TestBeforeCommitUsesTheBridge(t *testing.T) {
	var a *testkit.App
	other := ""
	a, h, p, id := newHooked(t, livestore.New(), func(ctx context.Context, s *bridge.Session) error {
		if _, banned := s.Get("banned"); banned {
			s.Destroy()
			return nil
		}
		if other == "" {
			return nil
		}
		require.ErrorIs(t, s.Login("ada"), bridge.ErrNoCookies)
		require.ErrorIs(t, a.UpdateByID(ctx, other, testkit.Set("k", 1)), bridge.ErrNested)
		return a.UpdateByID(ctx, s.ID(), func(_ context.Context, inner *bridge.Session) error {
			n, _ := testkit.Count.Get(inner)
			inner.Set("seen", n)
			return nil
		})
	})
	second := webclient.Pocket{}
	second.Get(t, h, "/inc")
	other = second.Get(t, h, "/id").Body.String()
	p.Get(t, h, "/inc")
	seen, _ := testkit.Snapshot(t, a, id).Get("seen")
	require.EqualValues(t, 2, seen)

	p.Get(t, h, "/ban")
	require.False(t, testkit.SessionExists(t, a.Bridge, id))
	require.NotContains(t, p, "sid")
}

// A hook that commits the session itself gets an error at some point, and not a full stack.
func TestBeforeCommitThatCommits(t *testing.T) {
	var a *testkit.App
	requests := make(chan *http.Request, 1)
	var refused error
	a, h, p, _ := newHooked(t, livestore.New(), func(context.Context, *bridge.Session) error {
		select {
		case r := <-requests:
			requests <- r
			_, err := a.Ticket(r)
			refused = errors.Join(refused, err)
		default:
		}
		return nil
	})
	a.Page("/itself", func(r *http.Request) (any, error) {
		requests <- r
		s, err := a.Session(r)
		if err == nil {
			s.Set("k", 1)
		}
		return "", err
	})
	p.Get(t, h, "/itself")
	require.ErrorIs(t, refused, bridge.ErrNested)
	<-requests
}

// A change that another goroutine makes while the hook runs is not stored before the hook has seen
// it, and the Session that it gets is closed afterwards.
func TestBeforeCommitSeesConcurrentChanges(t *testing.T) {
	began, changed := make(chan struct{}, 1), make(chan struct{})
	var kept *bridge.Session
	runs := 0
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{BeforeCommit: func(ctx context.Context, s *bridge.Session) error {
		if _, ok := s.Get("draft"); !ok {
			return nil
		}
		if runs++; runs == 1 {
			began <- struct{}{}
			await.Receive(t, changed)
		}
		kept = s
		return refuseBanned(ctx, s)
	}})
	h := testkit.NewHolder(t, a, nil)
	h.Session.Set("draft", 1)
	saved := make(chan error, 1)
	go func() { saved <- h.Conn.SaveSession(t.Context()) }()
	await.Receive(t, began)
	h.Session.Set("banned", true)
	close(changed)
	require.ErrorIs(t, await.Receive(t, saved), errBanned)
	require.Equal(t, 2, runs)
	require.ErrorIs(t, kept.Encode(struct{}{}), bridge.ErrSessionClosed)
	h.Session.Delete("banned")
	require.NoError(t, h.Conn.SaveSession(t.Context()))
}

// A hook that hangs doesn't delay a logout, a login elsewhere or another change by ID.
func TestHookThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{BeforeCommit: func(_ context.Context, s *bridge.Session) error {
			if v, _ := s.Get("hang"); v == true {
				<-hang
			}
			return nil
		}})
		a.SessionPage("/hang", func(s *bridge.Session) (any, error) { s.Set("hang", true); return "", nil })
		h := a.Handler(a.Mux)
		p := webclient.Pocket{}
		p.Get(t, h, "/inc")
		id := p.Get(t, h, "/id").Body.String()
		results := make(chan error, 1)
		go func() {
			results <- a.UpdateByID(t.Context(), id, testkit.Set("hang", true))
		}()
		f := p.Begin(t, h, "/hang")
		synctest.Wait()
		require.Equal(t, "1", p.Get(t, h, "/get").Body.String())
		began := time.Now()
		require.Equal(t, "out", p.Get(t, h, "/logout").Body.String())
		require.Less(t, time.Since(began), time.Second)
		close(hang)
		require.ErrorIs(t, <-results, bridge.ErrSessionGone)
		w := p.Arrive(f)
		require.GreaterOrEqual(t, w.Code, 400)
		require.False(t, testkit.SessionExists(t, a.Bridge, id))
	})
}
