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
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

const saveEvery = 30 * time.Second // the default

func TestPerConnectionStoresWhenItsFunctionReturns(t *testing.T) {
	for name, err := range map[string]error{"nil": nil, "an error": errors.New("read: gone")} {
		t.Run(name, func(t *testing.T) {
			st := livestore.New()
			h := newHolder(t, makeApp(t, st, nil), nil)
			require.EqualValues(t, 1, h.value("n"), "loaded at the handshake")
			h.s.Set("draft", "text")
			require.JSONEq(t, `{"n":1}`, string(stored(t, st, h.s.ID()).Data))
			h.finish(err)
			require.JSONEq(t, `{"n":1,"draft":"text"}`, string(stored(t, st, h.s.ID()).Data))
			h.s.Set("draft", "late")
			require.ErrorIs(t, h.conn.SaveSession(t.Context()), bridge.ErrSessionClosed)
		})
	}
}

func TestPerConnectionStoresNothingAfterAPanic(t *testing.T) {
	st := livestore.New()
	h := newHolder(t, makeApp(t, st, nil), nil)
	h.s.Set("saved", true)
	require.NoError(t, h.conn.SaveSession(t.Context()))
	h.s.Set("half", "done")
	require.Equal(t, bridge.CodeFailed, h.finish(panics{}).Code)
	require.JSONEq(t, `{"n":1,"saved":true}`, string(stored(t, st, h.s.ID()).Data))
}

func TestPerConnectionStoresNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaultyStore()
		a := makeApp(t, st, &bridge.Options{RevalidateEvery: bridge.Off}) // whose looks would count
		a.session("/theme", func(s *bridge.Session) (any, error) { s.Set("theme", "dark"); return "set", nil })
		h := newHolderAt(t, a, a.serveInMemory(t), nil, nil)
		h.s.Set("draft", "text")
		time.Sleep(saveEvery)
		synctest.Wait()
		require.JSONEq(t, `{"n":1,"draft":"text"}`, string(stored(t, st.Store, h.s.ID()).Data), "a crash loses no more than SaveEvery")

		h.br.ok("/theme")
		require.Nil(t, h.value("theme"))
		sets, gets := st.count("Set"), st.count("Get")
		time.Sleep(saveEvery)
		synctest.Wait()
		require.Equal(t, "dark", h.value("theme"), "it takes over what others have changed")
		time.Sleep(10 * saveEvery)
		synctest.Wait()
		require.Equal(t, sets, st.count("Set"), "nothing has changed: nothing is stored")
		require.Equal(t, 11, st.count("Get")-gets)
		h.finish(nil)
		require.Equal(t, sets, st.count("Set"))
	})
}

func TestPerConnectionStoresOnlyAtTheEndWithSaveEveryOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a := makeApp(t, st, nil)
		h := newHolderAt(t, a, a.serveInMemory(t), &bridge.ConnOptions{SaveEvery: bridge.Off}, nil)
		h.s.Set("draft", "text")
		time.Sleep(time.Hour)
		require.JSONEq(t, `{"n":1}`, string(stored(t, st, h.s.ID()).Data))
		h.finish(nil)
		require.JSONEq(t, `{"n":1,"draft":"text"}`, string(stored(t, st, h.s.ID()).Data))
	})
}

// Ended past this Bridge: nobody has told it.
func TestPerConnectionNeverResurrects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a := makeApp(t, st, &bridge.Options{RevalidateEvery: bridge.Off})
		h := newHolderAt(t, a, a.serveInMemory(t), nil, nil)
		id := h.s.ID()
		code := h.ws.whenClosed()
		h.s.Set("late", true)
		_, err := st.Destroy(t.Context(), id)
		require.NoError(t, err)
		time.Sleep(saveEvery)
		<-h.ctx.Done()
		require.ErrorIs(t, context.Cause(h.ctx), bridge.ErrSessionGone)
		require.Equal(t, bridge.CodeDestroyed, <-code)
		require.ErrorIs(t, h.conn.SaveSession(t.Context()), bridge.ErrSessionGone)
		h.finishing <- nil
		h.closes.next()
		_, err = st.Get(t.Context(), id)
		require.ErrorIs(t, err, store.ErrNotFound)
	})
}

func TestPerConnectionIsCutOffByALogin(t *testing.T) {
	st := livestore.New()
	h := newHolder(t, makeApp(t, st, nil), nil)
	h.s.Set("planted", true)
	h.br.ok("/login?user=ada")
	require.ErrorIs(t, h.conn.SaveSession(t.Context()), bridge.ErrTokenRotated)
	require.ErrorIs(t, h.s.Login("eve"), bridge.ErrNoCookies)
	require.ErrorIs(t, h.s.Rotate(), bridge.ErrNoCookies)
	require.Equal(t, bridge.CodeReconnect, h.finish(nil).Code)
	require.JSONEq(t, `{"n":1}`, string(stored(t, st, h.s.ID()).Data), "it knows no token that counts")
}

// Where connections follow their client to another session, one that holds its session can't: it comes back for the other one.
func TestPerConnectionThatFollowsComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a := makeApp(t, st, &bridge.Options{Rebind: bridge.Follow})
		h := newHolderAt(t, a, a.serveInMemory(t), nil, nil)
		h.s.Set("draft", "text")
		code := h.ws.whenClosed()
		h.br.setCookie("sid", "")
		require.Equal(t, "1", h.br.ok("/inc"), "another session of the same client")
		require.NotEqual(t, h.s.ID(), h.conn.SessionID())
		require.Equal(t, bridge.CodeReconnect, <-code)
		require.JSONEq(t, `{"n":1,"draft":"text"}`, string(stored(t, st, h.s.ID()).Data))
		h.finishing <- nil
		h.closes.next()
	})
}

func TestPerConnectionDestroyTakesEffectAtOnce(t *testing.T) {
	t.Parallel()
	st := livestore.New()
	h := newHolder(t, makeApp(t, st, nil), nil)
	h.s.Logout()
	require.Equal(t, bridge.CodeDestroyed, h.ws.closed())
	require.Zero(t, storedCount(t, st))
	h.finish(nil)
	require.Zero(t, storedCount(t, st))
}

// WithSession on a connection that holds its session works on the same Session: neither waits for the other, and nothing is lost between them.
func TestPerConnectionWithSessionWorksOnTheSameSession(t *testing.T) {
	st := livestore.New()
	h := newHolder(t, makeApp(t, st, nil), nil)
	count.Set(h.s, 10)
	h.s.Set("draft", "text")
	ctx := t.Context()
	n, err := bridge.WithSession(ctx, h.conn, func(ctx context.Context, s *bridge.Session) (int, error) {
		require.Same(t, h.s, s)
		s.Set("nested", true)
		require.ErrorIs(t, h.conn.WithSession(ctx, func(context.Context, *bridge.Session) error { return errors.ErrUnsupported }, nil), errors.ErrUnsupported)
		return increment(ctx, s)
	}, nil)
	require.NoError(t, err)
	require.Equal(t, 11, n, "it finds what is not stored yet")
	require.JSONEq(t, `{"n":11,"draft":"text","nested":true}`, string(stored(t, st, h.s.ID()).Data))

	h.s.Set("draft", "more")
	failed := h.conn.WithSession(ctx, func(ctx context.Context, s *bridge.Session) error {
		_, _ = increment(ctx, s)
		return errors.ErrUnsupported
	}, nil)
	require.ErrorIs(t, failed, errors.ErrUnsupported)
	require.EqualValues(t, 11, h.value("n"))
	require.Equal(t, "more", h.value("draft"), "only what the function has changed is undone")
	h.finish(nil)
	require.JSONEq(t, `{"n":11,"draft":"more","nested":true}`, string(stored(t, st, h.s.ID()).Data))
}

func TestPerConnectionWithSessionLosesNoUpdate(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	h := newHolderAt(t, a, a.serve(t), &bridge.ConnOptions{SaveEvery: 10 * time.Millisecond}, nil)
	const workers, each = 4, 50
	var all sync.WaitGroup
	for i := range workers {
		all.Go(func() {
			for j := range each {
				switch i {
				case 0:
					h.br.ok("/inc")
				default:
					if _, err := bridge.WithSession(h.ctx, h.conn, increment, nil); err != nil {
						t.Errorf("increment: %v", err)
					}
					h.s.Set("key"+strconv.Itoa(i), j)
					if err := h.conn.SaveSession(h.ctx); err != nil {
						t.Errorf("save: %v", err)
					}
				}
			}
		})
	}
	all.Wait()
	h.finish(nil)
	require.Equal(t, strconv.Itoa(workers*each+1), h.br.ok("/get"))
}

// What a function of WithSession has changed is stored when it returns and not before, though a save is due in between; that comes afterwards.
func TestPerConnectionSaveWaitsForWithSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a := makeApp(t, st, nil)
		h := newHolderAt(t, a, a.serveInMemory(t), nil, nil)
		err := h.conn.WithSession(h.ctx, func(ctx context.Context, s *bridge.Session) error {
			s.Set("half", 1)
			time.Sleep(3 * saveEvery)
			synctest.Wait()
			require.JSONEq(t, `{"n":1}`, string(stored(t, st, s.ID()).Data))
			require.NoError(t, h.conn.SaveSession(ctx), "unless it is asked for")
			require.JSONEq(t, `{"n":1,"half":1}`, string(stored(t, st, s.ID()).Data))
			waiting, cancel := context.WithTimeout(h.ctx, time.Second)
			defer cancel()
			require.ErrorIs(t, h.conn.SaveSession(waiting), context.DeadlineExceeded, "without its ctx it waits for the function's end")
			return nil
		}, nil)
		require.NoError(t, err)
		h.s.Set("later", 2)
		time.Sleep(saveEvery)
		synctest.Wait()
		require.JSONEq(t, `{"n":1,"half":1,"later":2}`, string(stored(t, st, h.s.ID()).Data))
		h.finish(nil)
	})
}

// A function that outstays its connection holds its end up for StoreTimeout, and takes nothing with it.
func TestPerConnectionCutsOffAFunctionThatOutstaysIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a := makeApp(t, st, &bridge.Options{StoreTimeout: 3 * time.Second})
		h := newHolderAt(t, a, a.serveInMemory(t), nil, nil)
		h.s.Set("draft", "text")
		hang, running, result := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			result <- h.conn.WithSession(t.Context(), func(_ context.Context, s *bridge.Session) error {
				s.Set("half", true)
				close(running)
				<-hang
				return nil
			}, nil)
		}()
		<-running
		start := time.Now()
		require.Equal(t, 1000, h.finish(nil).Code)
		require.Equal(t, 3*time.Second, time.Since(start))
		close(hang)
		require.ErrorIs(t, <-result, bridge.ErrSessionClosed)
		require.JSONEq(t, `{"n":1,"draft":"text"}`, string(stored(t, st, h.s.ID()).Data))
	})
}

func TestPerConnectionIsStoredBeforeShutdownReturns(t *testing.T) {
	st := livestore.New()
	a := makeApp(t, st, nil)
	h := newHolder(t, a, nil)
	h.s.Set("draft", "text")
	code := h.ws.whenClosed()
	go func() {
		<-h.ctx.Done()
		h.finishing <- context.Cause(h.ctx)
	}()
	require.NoError(t, a.Shutdown(t.Context()))
	require.Equal(t, bridge.CodeShutdown, receive(t, code))
	require.JSONEq(t, `{"n":1,"draft":"text"}`, string(stored(t, st, h.s.ID()).Data))
}

func TestPerConnectionIsStoredAtShutdownThoughItsFunctionHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		b, err := bridge.New(st, nil)
		require.NoError(t, err)
		a := &app{b, newApp(b)}
		h := newHolderAt(t, a, a.serveInMemory(t), nil, nil)
		h.ws.whenClosed()
		h.s.Set("draft", "text")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, b.Shutdown(ctx), context.DeadlineExceeded, "the function hangs")
		require.JSONEq(t, `{"n":1,"draft":"text"}`, string(stored(t, st, h.s.ID()).Data))
	})
}

func TestPerConnectionAsksAStoreThatFailsAtTheEndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaultyStore()
		a := makeApp(t, st, nil)
		h := newHolderAt(t, a, a.serveInMemory(t), nil, nil)
		h.s.Set("draft", "text")
		h.s.AddFlash("once")
		st.next(1, "Set", loseReply(errOutage))
		st.next(2, "Set", refuse(errOutage))
		require.Equal(t, 1000, h.finish(nil).Code)
		require.Zero(t, a.Stats().SaveFailures)
		rec := stored(t, st.Store, h.s.ID())
		require.Contains(t, string(rec.Data), `"draft":"text"`)
		require.NoError(t, a.UpdateByID(t.Context(), rec.ID, func(_ context.Context, s *bridge.Session) error {
			require.Equal(t, []any{"once"}, s.Flashes(), "the attempt whose reply got lost had stored it")
			return nil
		}))
	})
}

func TestPerConnectionTellsWhenItCouldNotBeStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaultyStore()
		a := makeApp(t, st, &bridge.Options{StoreTimeout: 2 * time.Second})
		h := newHolderAt(t, a, a.serveInMemory(t), nil, nil)
		h.s.Set("draft", "text")
		st.always(refuse(errOutage), "Set")
		start := time.Now()
		require.Equal(t, bridge.CodeUnavailable, h.finish(nil).Code)
		require.LessOrEqual(t, time.Since(start), 4*time.Second)
		require.EqualValues(t, 1, a.Stats().SaveFailures)
		require.Greater(t, st.count("Set"), 3)
		st.heal()
		require.Equal(t, "1", h.br.ok("/get"))
	})
}

func TestPerConnectionWithoutASession(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	result := make(chan error, 1)
	fn := func(ctx context.Context, c *bridge.Conn, s *bridge.Session) error {
		if s == nil {
			result <- c.SaveSession(ctx)
		}
		_, _, err := c.Read(ctx)
		return err
	}
	a.mux.Handle("/default", a.PerConnection(fn, nil))
	a.mux.Handle("/refuse", a.PerConnection(fn, &bridge.ConnOptions{OnMissing: bridge.RefuseMissing}))
	a.mux.Handle("/accept", a.PerConnection(fn, &bridge.ConnOptions{OnMissing: bridge.AcceptMissing}))
	br := newBrowser(t, a.serve(t))
	require.Equal(t, bridge.CodeNoSession, br.dial("/default").closed())
	_, res, err := br.tryDial("/refuse", nil)
	require.Error(t, err)
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)
	br.dial("/accept")
	require.ErrorIs(t, receive(t, result), bridge.ErrSessionMissing)
}

// A connection that holds its session has a deadline for its heartbeat and one for its saves, and no goroutine besides its function's.
func TestG11_NothingPerSocket_PerConnection(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	a.mux.Handle("/held", a.PerConnection(func(ctx context.Context, c *bridge.Conn, _ *bridge.Session) error {
		_, _, err := c.Read(ctx)
		return err
	}, nil))
	a.mux.Handle("/messages", a.Messages(func(context.Context, *bridge.Conn, bridge.Message, *bridge.Session) error { return nil }, nil))
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	deadlines := a.Deadlines()
	const conns = 20
	for range conns {
		br.dial("/held")
		br.dial("/messages")
	}
	require.Eventually(t, func() bool {
		return bridgeGoroutines() == 2*conns+1 && a.Deadlines() == deadlines+3*conns+1 // one for each save, each heartbeat, and the session
	}, patience, time.Millisecond, "goroutines: %d, deadlines: %d", bridgeGoroutines(), a.Deadlines()-deadlines)
}
