package guarantees_test

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// replacedLongAgo returns the cookies of b's browser from before a rotation that is over: their
// signatures hold, but they open nothing (G6).
func replacedLongAgo(b *busy) webclient.Pocket {
	old := maps.Clone(b.p)
	require.Equal(b.t, http.StatusOK, b.p.Get(b.t, b.h, "/rotate").Code)
	require.Equal(b.t, http.StatusOK, b.p.Get(b.t, b.h, "/get").Code)
	time.Sleep(time.Minute)
	require.Equal(b.t, "0", maps.Clone(old).Get(b.t, b.h, "/get").Body.String(), "it opens nothing")
	return old
}

// hold runs a function of WithSession on the session until release is called.
func (b *busy) hold() (release func()) {
	inside, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	var once sync.Once
	go func() {
		done <- b.UpdateByID(b.t.Context(), b.id, func(_ context.Context, s *bridge.Session) error {
			once.Do(func() { close(inside) })
			<-goOn
			s.Set("held", true)
			return nil
		})
	}()
	<-inside
	return sync.OnceFunc(func() {
		close(goOn)
		if err := <-done; err != nil {
			b.t.Errorf("the function that was held: %v", err)
		}
	})
}

// updatesWithin requires that a WithSession on b's session doesn't wait longer than that.
func (b *busy) updatesWithin(limit time.Duration) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	start := time.Now()
	require.NoError(b.t, b.UpdateByID(ctx, b.id, testkit.Set("k", 1)))
	require.LessOrEqual(b.t, time.Since(start), limit)
}

// A cookie that opens nothing doesn't wait for a function on the session that it names.
func TestStaleCookieDoesNotWaitForAFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBusy(t, livestore.New())
		old := replacedLongAgo(b)
		release := b.hold()
		defer release()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		w := old.Send(b.h, webclient.Request(t, "/inc").WithContext(ctx))
		require.Zero(t, time.Since(start))
		require.Equal(t, http.StatusOK, w.Code, w.Body)
		release()
	})
}

// Nor do requests with such a cookie hold up the session's owner while the store is slow.
func TestStaleCookiesDoNotDelayTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		// Each request with the old cookie begins a session of the same client.
		b := newBusyWith(t, st, &bridge.Options{StoreTimeout: storeLimit, MaxSessionsPerClient: bridge.Off})
		old := replacedLongAgo(b)
		st.Always(func(_ context.Context, call func() error) error { time.Sleep(5 * time.Millisecond); return call() }, "Get")
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() { old.LookAt(t, b.h, "/inc") })
		}
		synctest.Wait()
		defer all.Wait()
		b.updatesWithin(50 * time.Millisecond)
	})
}

// A log handler that hangs at the line of a request with a foreign cookie holds up that request only.
func TestLogHandlerThatHangsDoesNotDelayTheSession(t *testing.T) {
	for line, cookies := range map[string]func(b *busy) webclient.Pocket{
		"credential refused": replacedLongAgo,
		"client mismatch":    func(b *busy) webclient.Pocket { return webclient.Pocket{"sid": b.p["sid"], "sid.cid": "x"} },
	} {
		t.Run(line, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := stuckAt("none")
				b := newBusyWith(t, livestore.New(), &bridge.Options{StoreTimeout: storeLimit, Logger: slog.New(h)})
				p := cookies(b)
				h.at = line
				go p.Get(t, b.h, "/inc")
				<-h.reached
				defer close(h.goOn)
				b.updatesWithin(0)
			})
		})
	}
}

// An import that hangs holds up only its request, not the session that a stale cookie names.
func TestImportThatHangsHoldsNoLockOfAnotherSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reached, goOn := make(chan struct{}, 10), make(chan struct{})
		b := newBusyWith(t, livestore.New(), &bridge.Options{
			StoreTimeout: storeLimit,
			Import: func(r *http.Request) *bridge.Import {
				if _, err := r.Cookie("other"); err != nil {
					return nil
				}
				return &bridge.Import{Key: "secret", Load: func(context.Context) (string, map[string]any, bool, error) {
					reached <- struct{}{}
					<-goOn
					return "", nil, false, nil
				}}
			},
		})
		old := replacedLongAgo(b)
		old["other"] = "x"
		go old.Get(t, b.h, "/inc")
		<-reached
		defer close(goOn)
		b.updatesWithin(0)
	})
}

// G1: calls on one session run in the order of their arrival, also if another goroutine of the
// request opens its Session meanwhile.
func TestWithSessionRunsInTheOrderOfArrival(t *testing.T) {
	for name, meanwhile := range map[string]func(b *busy, r *http.Request){
		"nothing": func(*busy, *http.Request) {},
		"Session": func(b *busy, r *http.Request) {
			_, err := b.Session(r)
			require.NoError(b.t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBusy(t, livestore.New())
				var mu sync.Mutex
				var order []string
				note := func(who string) func(context.Context, *bridge.Session) error {
					return func(_ context.Context, s *bridge.Session) error {
						mu.Lock()
						defer mu.Unlock()
						order = append(order, who)
						return nil
					}
				}
				release := b.hold()
				defer release()
				b.Page("/both", func(r *http.Request) (any, error) {
					done := make(chan error, 1)
					go func() { done <- b.WithSession(r, note("first"), nil) }()
					time.Sleep(time.Second) // it waits for its turn now
					meanwhile(b, r)
					return "ok", <-done
				})
				var all sync.WaitGroup
				all.Go(func() { b.ask(t.Context(), "/both") })
				time.Sleep(2 * time.Second)
				all.Go(func() {
					if err := b.UpdateByID(t.Context(), b.id, note("second")); err != nil {
						t.Error(err)
					}
				})
				time.Sleep(time.Second)
				release()
				all.Wait()
				require.Equal(t, []string{"first", "second"}, order)
			})
		})
	}
}

// G7: a request is activity when it arrives, also if its WithSession has to wait.
func TestRequestThatWaitsKeepsItsSessionAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBusyWith(t, livestore.New(), testkit.Expiring(bridge.Off))
		release := b.hold()
		defer release()
		time.Sleep(testkit.Idle - time.Minute)
		f := b.p.Begin(t, b.h, "/inc")
		time.Sleep(testkit.Touch + 2*time.Minute) // less than Idle after that
		release()
		w := b.p.Arrive(f)
		require.Equal(t, http.StatusOK, w.Code)
		require.Equal(t, "2", w.Body.String(), "it is the same session")
	})
}

// A request that came with a living session is never served with a new one, whose cookie would
// replace a newer one of the browser: also if another node ends the session while it waits.
func TestRequestThatWaitsGetsNoNewSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, apps := testkit.NewNodes(t, 2, bridge.Options{})
		b := &busy{App: apps[0], t: t, p: webclient.Pocket{}, h: apps[0].Handler(apps[0].Mux)}
		there := apps[1].Handler(apps[1].Mux)
		require.Equal(t, "1", b.p.Get(t, b.h, "/inc").Body.String())
		b.id = b.p.Get(t, b.h, "/id").Body.String()
		inside, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			done <- b.UpdateByID(t.Context(), b.id, func(context.Context, *bridge.Session) error {
				close(inside)
				<-goOn
				return nil
			})
		}()
		<-inside
		f := b.p.Begin(t, b.h, "/inc")
		time.Sleep(time.Second)
		require.Equal(t, http.StatusOK, b.p.Get(t, there, "/logout").Code)
		time.Sleep(time.Second)
		require.Equal(t, "1", b.p.Get(t, there, "/inc").Body.String())
		require.Equal(t, "2", b.p.Get(t, there, "/inc").Body.String(), "the browser has another session now")
		close(goOn)
		require.NoError(t, <-done, "the function has changed nothing")
		w := b.p.Arrive(f)
		require.Equal(t, bridge.HTTPStatus(bridge.ErrSessionGone), w.Code, w.Body)
		require.Empty(t, w.Header()["Set-Cookie"])
		require.Equal(t, "3", b.p.Get(t, there, "/inc").Body.String(), "it still has it")
	})
}

// The response of a request that has asked for its session depends on the cookie.
func TestResponseWithoutItsTurnVariesOnTheCookie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBusy(t, livestore.New())
		b.Mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), time.Second)
			defer cancel()
			w.Header().Set("Cache-Control", "public, max-age=60")
			err := b.For(r).WithSession(ctx, testkit.Set("k", 1), nil)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			_, _ = w.Write([]byte("without your name"))
		})
		release := b.hold()
		defer release()
		w := b.ask(t.Context(), "/page")
		require.True(t, slices.Contains(w.Header()["Vary"], "Cookie"), "%v", w.Header())
		release()
	})
}

// G6: rotation has no gap. A request that came with the current token is served, however often other
// requests rotate it while it waits.
func TestRequestThatWaitsSurvivesRotations(t *testing.T) {
	for _, n := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			b := newBusy(t, livestore.New())
			release := b.hold()
			defer release()
			f := b.p.Begin(t, b.h, "/inc")
			for range n {
				time.Sleep(time.Second)
				require.Equal(t, http.StatusOK, b.p.Get(t, b.h, "/rotate").Code)
			}
			time.Sleep(time.Second)
			release()
			w := <-f.Done
			require.Equal(t, http.StatusOK, w.Code, "%d rotations: %s", n, w.Body)
		})
	}
}

// A WithSession after the end of the request does not wait.
func TestWithSessionAfterTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBusy(t, livestore.New())
		var on bridge.Sessioner
		b.Page("/keep", func(r *http.Request) (any, error) { on = b.For(r); return "", nil })
		b.ask(t.Context(), "/keep")
		release := b.hold()
		defer release()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, on.WithSession(ctx, testkit.Set("k", 1), nil), bridge.ErrSessionClosed)
	})
}

// A change by this process between the load of a session and the turn of its WithSession is read: the
// function doesn't have to run again.
func TestWithSessionReadsAChangeThatCameBeforeItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		b := newBusyWith(t, st, nil)
		st.Next(1, "Get", func(_ context.Context, get func() error) error {
			err := get()
			require.NoError(t, b.UpdateByID(t.Context(), b.id, testkit.Set("other", true)))
			return err
		})
		require.Equal(t, "2", b.p.Get(t, b.h, "/inc").Body.String())
		require.Zero(t, b.Stats().Reruns)
	})
}
