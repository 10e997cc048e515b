package bridge_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
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
	"github.com/sessionbridge/sessionbridge/store"
)

const saveEvery = 30 * time.Second // the default

func TestPerConnectionStoresWhenItsFunctionReturns(t *testing.T) {
	for name, err := range map[string]error{"nil": nil, "an error": errors.New("read: gone")} {
		t.Run(name, func(t *testing.T) {
			st := livestore.New()
			h := testkit.NewHolder(t, testkit.NewApp(t, st, nil), nil)
			require.EqualValues(t, 1, h.Value("n"), "loaded at the handshake")
			h.Session.Set("draft", "text")
			require.JSONEq(t, `{"n":1}`, string(teststore.Stored(t, st, h.Session.ID()).Data))
			h.Finish(err)
			require.JSONEq(t, `{"n":1,"draft":"text"}`, string(teststore.Stored(t, st, h.Session.ID()).Data))
			h.Session.Set("draft", "late")
			require.ErrorIs(t, h.Conn.SaveSession(t.Context()), bridge.ErrSessionClosed)
		})
	}
}

func TestPerConnectionStoresNothingAfterAPanic(t *testing.T) {
	st := livestore.New()
	h := testkit.NewHolder(t, testkit.NewApp(t, st, nil), nil)
	h.Session.Set("saved", true)
	require.NoError(t, h.Conn.SaveSession(t.Context()))
	h.Session.Set("half", "done")
	require.Equal(t, bridge.CodeFailed, h.Finish(testkit.Panics{}).Code)
	require.JSONEq(t, `{"n":1,"saved":true}`, string(teststore.Stored(t, st, h.Session.ID()).Data))
}

func TestPerConnectionStoresNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, &bridge.Options{RevalidateEvery: bridge.Off}) // whose looks would count
		a.SessionPage("/theme", func(s *bridge.Session) (any, error) { s.Set("theme", "dark"); return "set", nil })
		h := testkit.NewHolderAt(t, a, a.ServeInMemory(t), nil, nil)
		h.Session.Set("draft", "text")
		time.Sleep(saveEvery)
		synctest.Wait()
		require.JSONEq(t, `{"n":1,"draft":"text"}`, string(teststore.Stored(t, st.Store, h.Session.ID()).Data), "a crash loses no more than SaveEvery")

		h.Browser.OK("/theme")
		require.Nil(t, h.Value("theme"))
		sets, gets := st.Count("Set"), st.Count("Get")
		time.Sleep(saveEvery)
		synctest.Wait()
		require.Equal(t, "dark", h.Value("theme"), "it takes over what others have changed")
		time.Sleep(10 * saveEvery)
		synctest.Wait()
		require.Equal(t, sets, st.Count("Set"), "nothing has changed: nothing is stored")
		require.Equal(t, 11, st.Count("Get")-gets)
		h.Finish(nil)
		require.Equal(t, sets, st.Count("Set"))
	})
}

// A countdown follows the activity of the session, which changes no value.
func TestPerConnectionTakesOverActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), testkit.Expiring(time.Hour))
		h := testkit.NewHolderAt(t, a, a.ServeInMemory(t), &bridge.ConnOptions{SaveEvery: time.Second}, nil)
		time.Sleep(testkit.Idle / 2)
		h.Browser.OK("/get")
		time.Sleep(time.Second)
		synctest.Wait()
		left, ends := h.Session.TimeLeft()
		require.True(t, ends)
		require.Greater(t, left, testkit.Idle-2*time.Second)
		time.Sleep(testkit.Idle / 2)
		h.Browser.OK("/get")
		require.NoError(t, h.Conn.SaveSession(t.Context()))
		left, _ = h.Session.TimeLeft()
		require.Equal(t, testkit.Idle, left)
	})
}

func TestPerConnectionStoresOnlyAtTheEndWithSaveEveryOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a := testkit.NewApp(t, st, nil)
		h := testkit.NewHolderAt(t, a, a.ServeInMemory(t), &bridge.ConnOptions{SaveEvery: bridge.Off}, nil)
		h.Session.Set("draft", "text")
		time.Sleep(time.Hour)
		require.JSONEq(t, `{"n":1}`, string(teststore.Stored(t, st, h.Session.ID()).Data))
		h.Finish(nil)
		require.JSONEq(t, `{"n":1,"draft":"text"}`, string(teststore.Stored(t, st, h.Session.ID()).Data))
	})
}

// Ended past this Bridge: nobody has told it.
func TestPerConnectionNeverResurrects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a := testkit.NewApp(t, st, &bridge.Options{RevalidateEvery: bridge.Off})
		h := testkit.NewHolderAt(t, a, a.ServeInMemory(t), nil, nil)
		id := h.Session.ID()
		code := h.Socket.WhenClosed()
		h.Session.Set("late", true)
		_, err := st.Destroy(t.Context(), id)
		require.NoError(t, err)
		time.Sleep(saveEvery)
		<-h.Context.Done()
		require.ErrorIs(t, context.Cause(h.Context), bridge.ErrSessionGone)
		require.Equal(t, bridge.CodeDestroyed, <-code)
		require.ErrorIs(t, h.Conn.SaveSession(t.Context()), bridge.ErrSessionGone)
		h.Finishing <- nil
		h.Closes.Next()
		_, err = st.Get(t.Context(), id)
		require.ErrorIs(t, err, store.ErrNotFound)
	})
}

func TestPerConnectionIsCutOffByALogin(t *testing.T) {
	st := livestore.New()
	h := testkit.NewHolder(t, testkit.NewApp(t, st, nil), nil)
	h.Session.Set("planted", true)
	h.Browser.OK("/login?user=ada")
	require.ErrorIs(t, h.Conn.SaveSession(t.Context()), bridge.ErrTokenRotated)
	require.ErrorIs(t, h.Session.Login("eve"), bridge.ErrNoCookies)
	require.ErrorIs(t, h.Session.Rotate(), bridge.ErrNoCookies)
	require.Equal(t, bridge.CodeReconnect, h.Finish(nil).Code)
	require.JSONEq(t, `{"n":1}`, string(teststore.Stored(t, st, h.Session.ID()).Data), "it knows no token that counts")
}

// Where connections follow their client to another session, one that holds its session can't: it
// comes back for the other one.
func TestPerConnectionThatFollowsComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a := testkit.NewApp(t, st, &bridge.Options{Rebind: bridge.Follow})
		h := testkit.NewHolderAt(t, a, a.ServeInMemory(t), nil, nil)
		h.Session.Set("draft", "text")
		code := h.Socket.WhenClosed()
		h.Browser.SetCookie("sid", "")
		require.Equal(t, "1", h.Browser.OK("/inc"), "another session of the same client")
		require.NotEqual(t, h.Session.ID(), h.Conn.SessionID())
		require.Equal(t, bridge.CodeReconnect, <-code)
		require.JSONEq(t, `{"n":1,"draft":"text"}`, string(teststore.Stored(t, st, h.Session.ID()).Data))
		h.Finishing <- nil
		h.Closes.Next()
	})
}

func TestPerConnectionDestroyTakesEffectAtOnce(t *testing.T) {
	t.Parallel()
	st := livestore.New()
	h := testkit.NewHolder(t, testkit.NewApp(t, st, nil), nil)
	h.Session.Logout()
	require.Equal(t, bridge.CodeDestroyed, h.Socket.Closed())
	require.Zero(t, teststore.StoredCount(t, st))
	h.Finish(nil)
	require.Zero(t, teststore.StoredCount(t, st))
}

// WithSession on a connection that holds its session works on the same Session: neither waits for
// the other, and nothing is lost between them.
func TestPerConnectionWithSessionWorksOnTheSameSession(t *testing.T) {
	st := livestore.New()
	h := testkit.NewHolder(t, testkit.NewApp(t, st, nil), nil)
	testkit.Count.Set(h.Session, 10)
	h.Session.Set("draft", "text")
	ctx := t.Context()
	n, err := bridge.WithSession(ctx, h.Conn, func(ctx context.Context, s *bridge.Session) (int, error) {
		require.Same(t, h.Session, s)
		s.Set("nested", true)
		require.ErrorIs(t, h.Conn.WithSession(ctx, func(context.Context, *bridge.Session) error { return errors.ErrUnsupported }, nil), errors.ErrUnsupported)
		return testkit.Increment(ctx, s)
	}, nil)
	require.NoError(t, err)
	require.Equal(t, 11, n, "it finds what is not stored yet")
	require.JSONEq(t, `{"n":11,"draft":"text","nested":true}`, string(teststore.Stored(t, st, h.Session.ID()).Data))

	h.Session.Set("draft", "more")
	failed := h.Conn.WithSession(ctx, func(ctx context.Context, s *bridge.Session) error {
		_, _ = testkit.Increment(ctx, s)
		return errors.ErrUnsupported
	}, nil)
	require.ErrorIs(t, failed, errors.ErrUnsupported)
	require.EqualValues(t, 11, h.Value("n"))
	require.Equal(t, "more", h.Value("draft"), "only what the function has changed is undone")
	h.Finish(nil)
	require.JSONEq(t, `{"n":11,"draft":"more","nested":true}`, string(teststore.Stored(t, st, h.Session.ID()).Data))
}

func TestPerConnectionWithSessionLosesNoUpdate(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	h := testkit.NewHolderAt(t, a, a.Serve(t), &bridge.ConnOptions{SaveEvery: 10 * time.Millisecond}, nil)
	const workers, each = 4, 50
	var all sync.WaitGroup
	for i := range workers {
		all.Go(func() {
			for j := range each {
				switch i {
				case 0:
					h.Browser.OK("/inc")
				default:
					if _, err := bridge.WithSession(h.Context, h.Conn, testkit.Increment, nil); err != nil {
						t.Errorf("increment: %v", err)
					}
					h.Session.Set("key"+strconv.Itoa(i), j)
					if err := h.Conn.SaveSession(h.Context); err != nil {
						t.Errorf("save: %v", err)
					}
				}
			}
		})
	}
	all.Wait()
	h.Finish(nil)
	require.Equal(t, strconv.Itoa(workers*each+1), h.Browser.OK("/get"))
}

// What a function of WithSession has changed is stored when it returns and not before, though a
// save is due in between; that comes afterwards.
func TestPerConnectionSaveWaitsForWithSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a := testkit.NewApp(t, st, nil)
		h := testkit.NewHolderAt(t, a, a.ServeInMemory(t), nil, nil)
		err := h.Conn.WithSession(h.Context, func(ctx context.Context, s *bridge.Session) error {
			s.Set("half", 1)
			time.Sleep(3 * saveEvery)
			synctest.Wait()
			require.JSONEq(t, `{"n":1}`, string(teststore.Stored(t, st, s.ID()).Data))
			require.NoError(t, h.Conn.SaveSession(ctx), "unless it is asked for")
			require.JSONEq(t, `{"n":1,"half":1}`, string(teststore.Stored(t, st, s.ID()).Data))
			waiting, cancel := context.WithTimeout(h.Context, time.Second)
			defer cancel()
			require.ErrorIs(t, h.Conn.SaveSession(waiting), context.DeadlineExceeded, "without its ctx it waits for the function's end")
			return nil
		}, nil)
		require.NoError(t, err)
		h.Session.Set("later", 2)
		time.Sleep(saveEvery)
		synctest.Wait()
		require.JSONEq(t, `{"n":1,"half":1,"later":2}`, string(teststore.Stored(t, st, h.Session.ID()).Data))
		h.Finish(nil)
	})
}

// A function that outstays its connection holds its end up for StoreTimeout, and takes nothing with
// it.
func TestPerConnectionCutsOffAFunctionThatOutstaysIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a := testkit.NewApp(t, st, &bridge.Options{StoreTimeout: 3 * time.Second})
		h := testkit.NewHolderAt(t, a, a.ServeInMemory(t), nil, nil)
		h.Session.Set("draft", "text")
		hang, running, result := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			result <- h.Conn.WithSession(t.Context(), func(_ context.Context, s *bridge.Session) error {
				s.Set("half", true)
				close(running)
				<-hang
				return nil
			}, nil)
		}()
		<-running
		start := time.Now()
		require.Equal(t, 1000, h.Finish(nil).Code)
		require.Equal(t, 3*time.Second, time.Since(start))
		close(hang)
		require.ErrorIs(t, <-result, bridge.ErrSessionClosed)
		require.JSONEq(t, `{"n":1,"draft":"text"}`, string(teststore.Stored(t, st, h.Session.ID()).Data))
	})
}

func TestPerConnectionIsStoredBeforeShutdownReturns(t *testing.T) {
	st := livestore.New()
	a := testkit.NewApp(t, st, nil)
	h := testkit.NewHolder(t, a, nil)
	h.Session.Set("draft", "text")
	code := h.Socket.WhenClosed()
	go func() {
		<-h.Context.Done()
		h.Finishing <- context.Cause(h.Context)
	}()
	require.NoError(t, a.Shutdown(t.Context()))
	require.Equal(t, bridge.CodeShutdown, await.Receive(t, code))
	require.JSONEq(t, `{"n":1,"draft":"text"}`, string(teststore.Stored(t, st, h.Session.ID()).Data))
}

func TestPerConnectionIsStoredAtShutdownThoughItsFunctionHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		b, err := bridge.New(st, nil)
		require.NoError(t, err)
		a := &testkit.App{Bridge: b, Mux: testkit.NewMux(b)}
		h := testkit.NewHolderAt(t, a, a.ServeInMemory(t), nil, nil)
		h.Socket.WhenClosed()
		h.Session.Set("draft", "text")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, b.Shutdown(ctx), context.DeadlineExceeded, "the function hangs")
		require.JSONEq(t, `{"n":1,"draft":"text"}`, string(teststore.Stored(t, st, h.Session.ID()).Data))
	})
}

func TestPerConnectionAsksAStoreThatFailsAtTheEndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, nil)
		h := testkit.NewHolderAt(t, a, a.ServeInMemory(t), nil, nil)
		h.Session.Set("draft", "text")
		h.Session.AddFlash("once")
		st.Next(1, "Set", teststore.LoseReply(teststore.ErrOutage))
		st.Next(2, "Set", teststore.Refuse(teststore.ErrOutage))
		require.Equal(t, 1000, h.Finish(nil).Code)
		require.Zero(t, a.Stats().SaveFailures)
		rec := teststore.Stored(t, st.Store, h.Session.ID())
		require.Contains(t, string(rec.Data), `"draft":"text"`)
		require.NoError(t, a.UpdateByID(t.Context(), rec.ID, func(_ context.Context, s *bridge.Session) error {
			require.Equal(t, []any{"once"}, s.Flashes(), "the attempt whose reply got lost had stored it")
			return nil
		}))
	})
}

func TestPerConnectionTellsWhenItCouldNotBeStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, &bridge.Options{StoreTimeout: 2 * time.Second})
		h := testkit.NewHolderAt(t, a, a.ServeInMemory(t), nil, nil)
		h.Session.Set("draft", "text")
		st.Always(teststore.Refuse(teststore.ErrOutage), "Set")
		start := time.Now()
		require.Equal(t, bridge.CodeUnavailable, h.Finish(nil).Code)
		require.LessOrEqual(t, time.Since(start), 4*time.Second)
		require.EqualValues(t, 1, a.Stats().SaveFailures)
		require.Greater(t, st.Count("Set"), 3)
		st.Heal()
		require.Equal(t, "1", h.Browser.OK("/get"))
	})
}

func TestPerConnectionWithoutASession(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	result := make(chan error, 1)
	fn := func(ctx context.Context, c *bridge.Conn, s *bridge.Session) error {
		if s == nil {
			result <- c.SaveSession(ctx)
		}
		_, _, err := c.Read(ctx)
		return err
	}
	a.Mux.Handle("/default", a.PerConnection(fn, nil))
	a.Mux.Handle("/refuse", a.PerConnection(fn, &bridge.ConnOptions{OnMissing: bridge.RefuseMissing}))
	a.Mux.Handle("/accept", a.PerConnection(fn, &bridge.ConnOptions{OnMissing: bridge.AcceptMissing}))
	br := webclient.NewBrowser(t, a.Serve(t))
	require.Equal(t, bridge.CodeNoSession, br.Dial("/default").Closed())
	_, res, err := br.TryDial("/refuse", nil)
	require.Error(t, err)
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)
	br.Dial("/accept")
	require.ErrorIs(t, await.Receive(t, result), bridge.ErrSessionMissing)
}

// A connection that holds its session has a deadline for its heartbeat and one for its saves, and
// no goroutine besides its function's.
func TestG11_NothingPerSocket_PerConnection(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	a.Mux.Handle("/held", a.PerConnection(func(ctx context.Context, c *bridge.Conn, _ *bridge.Session) error {
		_, _, err := c.Read(ctx)
		return err
	}, nil))
	a.Mux.Handle("/messages", a.Messages(func(context.Context, *bridge.Conn, bridge.Message, *bridge.Session) error { return nil }, nil))
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	deadlines := a.Deadlines()
	const conns = 20
	for range conns {
		br.Dial("/held")
		br.Dial("/messages")
	}
	require.Eventually(t, func() bool {
		return testkit.Goroutines() == 2*conns+1 && a.Deadlines() == deadlines+3*conns+1 // one for each save, each heartbeat, and the session
	}, await.Limit, time.Millisecond, "goroutines: %d, deadlines: %d", testkit.Goroutines(), a.Deadlines()-deadlines)
}
