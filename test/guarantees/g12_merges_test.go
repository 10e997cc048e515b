package guarantees_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
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
	"github.com/sessionbridge/sessionbridge/store"
)

// The figures of the tests below: functions that take a few milliseconds, and a tab that writes 50
// times a second.
const (
	fnTakes    = 20 * time.Millisecond
	tabWrites  = 20 * time.Millisecond
	fnCalls    = 12
	storeLimit = 5 * time.Second
)

// busy is an application whose session another tab keeps changing.
type busy struct {
	*testkit.App
	t   *testing.T
	p   webclient.Pocket
	h   http.Handler
	id  string
	tab sync.WaitGroup
}

func newBusy(t *testing.T, st store.Store) *busy {
	t.Helper()
	return newBusyWith(t, st, &bridge.Options{StoreTimeout: storeLimit})
}

func newBusyWith(t *testing.T, st store.Store, opts *bridge.Options) *busy {
	t.Helper()
	a := testkit.NewApp(t, st, opts)
	a.SessionPage("/tab", func(s *bridge.Session) (any, error) {
		n, _ := s.Get("tab")
		was, _ := n.(int64)
		s.Set("tab", was+1)
		return was + 1, nil
	})
	b := &busy{App: a, t: t, p: webclient.Pocket{}, h: a.Handler(a.Mux)}
	require.Equal(t, 200, b.p.Get(t, b.h, "/inc").Code)
	b.id = b.p.Get(t, b.h, "/id").Body.String()
	return b
}

// request returns a request of another tab, with the browser's cookies.
func (b *busy) request(ctx context.Context, path string) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	for name, value := range b.p {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	return r
}

func (b *busy) ask(ctx context.Context, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	b.h.ServeHTTP(w, b.request(ctx, path))
	return w
}

// write lets the tab write until stop is called, which returns how often it has written.
func (b *busy) write(write func()) (stop func() int) {
	ctx, cancel := context.WithCancel(b.t.Context())
	n := 0
	b.tab.Go(func() {
		next := time.NewTicker(tabWrites)
		defer next.Stop()
		for ctx.Err() == nil {
			write()
			n++
			select {
			case <-next.C:
			case <-ctx.Done():
			}
		}
	})
	return func() int {
		cancel()
		b.tab.Wait()
		return n
	}
}

// slowly is increment by a function that takes its time.
func slowly(ctx context.Context, s *bridge.Session) error {
	time.Sleep(fnTakes)
	_, err := testkit.Increment(ctx, s)
	return err
}

// A function of WithSession that has lost twice to merges gets exclusive access, for every kind of
// function and of merge.
func TestG1_NoLostUpdate_MergesOfItsOwnProcessDoNotStarveAFunction(t *testing.T) {
	writers := map[string]func(b *busy) func(){
		"requests": func(b *busy) func() {
			return func() {
				w := b.ask(b.t.Context(), "/tab")
				require.Equal(b.t, 200, w.Code, w.Body)
			}
		},
		"gorilla": func(b *busy) func() {
			b.Page("/gorilla", func(r *http.Request) (any, error) {
				gs, err := b.Gorilla().Get(r, "x")
				if err != nil {
					return nil, err
				}
				was, _ := gs.Values["tab"].(int)
				gs.Values["tab"] = was + 1
				return "ok", gs.Save(r, nil)
			})
			return func() {
				w := b.ask(b.t.Context(), "/gorilla")
				require.Equal(b.t, 200, w.Code, w.Body)
			}
		},
		"connection": func(b *busy) func() {
			goOn, done := make(chan bool), make(chan error)
			b.Mux.Handle("/held", b.PerConnection(func(ctx context.Context, c *bridge.Conn, s *bridge.Session) error {
				for range goOn {
					n, _ := s.Get("tab")
					was, _ := n.(int64)
					s.Set("tab", was+1)
					done <- c.SaveSession(ctx)
				}
				return nil
			}, &bridge.ConnOptions{SaveEvery: bridge.Off}))
			br := webclient.NewBrowser(b.t, b.ServeInMemory(b.t))
			for name, value := range b.p {
				br.SetCookie(name, value)
			}
			br.Dial("/held")
			b.t.Cleanup(func() { close(goOn) })
			return func() {
				goOn <- true
				require.NoError(b.t, <-done)
			}
		},
	}
	callers := map[string]func(b *busy) func() error{
		"by ID": func(b *busy) func() error { return func() error { return b.UpdateByID(b.t.Context(), b.id, slowly) } },
		"over HTTP": func(b *busy) func() error {
			b.Page("/slowly", func(r *http.Request) (any, error) { return nil, b.WithSession(r, slowly, nil) })
			return func() error {
				if w := b.ask(b.t.Context(), "/slowly"); w.Code != 200 {
					return errors.New(w.Body.String())
				}
				return nil
			}
		},
		"messages": func(b *busy) func() error {
			b.Mux.Handle("/messages", b.Messages(func(ctx context.Context, _ *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
				if err := slowly(ctx, s); err != nil {
					return err
				}
				return msg.Reply([]byte("ok"))
			}, nil))
			br := webclient.NewBrowser(b.t, b.ServeInMemory(b.t))
			for name, value := range b.p {
				br.SetCookie(name, value)
			}
			ws := br.Dial("/messages")
			return func() error {
				ws.Say("x")
				_, text, err := ws.Conn.Read(b.t.Context())
				if err == nil && string(text) != "ok" {
					err = errors.New(string(text))
				}
				return err
			}
		},
	}
	for writer, begin := range writers {
		for caller, call := range callers {
			t.Run(writer+", "+caller, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBusy(t, livestore.New())
					write, run := begin(b), call(b)
					stop := b.write(write)
					time.Sleep(5 * time.Millisecond) // so that functions begin and end between two writes
					for range fnCalls {
						require.NoError(t, run())
					}
					require.Greater(t, stop(), fnCalls, "the tab goes on meanwhile")
					s, err := b.GetByID(t.Context(), b.id)
					require.NoError(t, err)
					n, _ := testkit.Count.Get(s)
					require.Equal(t, 1+fnCalls, n)
				})
			})
		}
	}
}

// Touches that write the whole record don't starve a function either.
func TestG1_NoLostUpdate_ActivityDoesNotStarveAFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBusy(t, teststore.Minimal{Store: livestore.New()})
		stop := b.write(func() { require.NoError(t, b.TouchByID(t.Context(), b.id)) })
		time.Sleep(5 * time.Millisecond)
		for range fnCalls {
			require.NoError(t, b.UpdateByID(t.Context(), b.id, slowly))
		}
		require.Greater(t, stop(), fnCalls)
		require.Zero(t, b.Stats().Reruns, "what it has read is still true")
	})
}

// hungAlone returns when a function has exclusive access and hangs, until goOn is called.
func (b *busy) hungAlone() (goOn func() error) {
	runs, inside, release, done := 0, make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- b.UpdateByID(b.t.Context(), b.id, func(ctx context.Context, s *bridge.Session) error {
			if runs++; runs <= 2 {
				require.Equal(b.t, 200, b.ask(b.t.Context(), "/tab").Code)
			} else if runs == 3 {
				close(inside)
				<-release
			}
			_, err := testkit.Increment(ctx, s)
			return err
		})
	}()
	<-inside
	return func() error {
		close(release)
		return <-done
	}
}

// Merges wait for it, all together for StoreTimeout at most.
func TestG12_NobodyCanStallIt_HungFunctionHoldsUpMergesForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBusy(t, livestore.New())
		goOn := b.hungAlone()
		start := time.Now()
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				w := b.ask(t.Context(), "/tab")
				require.Equal(t, 200, w.Code, w.Body)
				require.Equal(t, storeLimit, time.Since(start))
			})
		}
		time.Sleep(time.Second)
		require.Equal(t, 200, b.ask(t.Context(), "/get").Code, "who only reads doesn't wait")
		require.Equal(t, time.Second, time.Since(start))
		all.Wait()
		for range 3 {
			require.Equal(t, 200, b.ask(t.Context(), "/tab").Code)
		}
		require.Equal(t, storeLimit, time.Since(start), "its time is over")
		require.NoError(t, goOn(), "it has run once more")
		s, err := b.GetByID(t.Context(), b.id)
		require.NoError(t, err)
		n, _ := testkit.Count.Get(s)
		require.Equal(t, 2, n)
	})
}

func TestG12_NobodyCanStallIt_WaitOfAMergeTakesAContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBusy(t, livestore.New())
		goOn := b.hungAlone()
		hungUp := errors.New("hung up")
		ctx, cancel := context.WithCancelCause(t.Context())
		saved := make(chan error, 1)
		b.Page("/save", func(r *http.Request) (any, error) {
			gs, err := b.Gorilla().Get(r, "x")
			require.NoError(t, err)
			gs.Values["k"] = "v"
			saved <- gs.Save(r, nil)
			return nil, nil
		})
		start := time.Now()
		go b.ask(ctx, "/save")
		time.Sleep(time.Second)
		cancel(hungUp)
		require.ErrorIs(t, <-saved, hungUp)
		require.Equal(t, time.Second, time.Since(start))
		require.NoError(t, goOn())
	})
}

func TestG12_NobodyCanStallIt_LogoutDoesNotWaitForAFunctionThatHasTheSessionToItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBusy(t, livestore.New())
		closes := testkit.Record[bridge.ConnClose](t, b.Bridge)
		br := webclient.NewBrowser(t, b.ServeInMemory(t))
		for name, value := range b.p {
			br.SetCookie(name, value)
		}
		ws := br.Dial("/ws").Listen()
		goOn := b.hungAlone()
		start := time.Now()
		require.Equal(t, 200, b.ask(t.Context(), "/logout").Code)
		require.Zero(t, time.Since(start))
		require.Equal(t, bridge.CodeDestroyed, closes.Next().Code)
		require.Equal(t, bridge.CodeDestroyed, ws.Closed())
		require.ErrorIs(t, goOn(), bridge.ErrSessionGone)
	})
}

// A merge that waits comes after the function, and is applied to the record that the function has
// stored.
func TestG1_NoLostUpdate_MergeThatWaitsComesAfterTheFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBusy(t, livestore.New())
		goOn := b.hungAlone()
		merged := make(chan int, 1)
		go func() { merged <- b.ask(t.Context(), "/tab").Code }()
		time.Sleep(time.Second)
		require.Empty(t, merged)
		require.NoError(t, goOn())
		require.Equal(t, 200, <-merged)
		s, err := b.GetByID(t.Context(), b.id)
		require.NoError(t, err)
		tab, _ := s.Get("tab")
		n, _ := testkit.Count.Get(s)
		require.Equal(t, []string{"3", "2"}, []string{strconv.FormatInt(tab.(int64), 10), strconv.Itoa(n)}) //nolint:forcetypeassert // a count
		require.EqualValues(t, 2, b.Stats().Reruns)
	})
}

// Many functions, each of which gets exclusive access after a while, delay no merge for longer than
// StoreTimeout.
func TestG12_NobodyCanStallIt_ManyFunctionsHoldUpNoMergeForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBusy(t, livestore.New())
		var fns sync.WaitGroup
		for range 20 {
			fns.Go(func() {
				require.NoError(t, b.UpdateByID(t.Context(), b.id, func(ctx context.Context, s *bridge.Session) error {
					time.Sleep(time.Second)
					_, err := testkit.Increment(ctx, s)
					return err
				}))
			})
		}
		var longest time.Duration
		stop := b.write(func() {
			start := time.Now()
			w := b.ask(t.Context(), "/tab")
			require.Equal(t, 200, w.Code, w.Body)
			longest = max(longest, time.Since(start))
		})
		fns.Wait()
		stop()
		require.LessOrEqual(t, longest, storeLimit)
		s, err := b.GetByID(t.Context(), b.id)
		require.NoError(t, err)
		n, _ := testkit.Count.Get(s)
		require.Equal(t, 21, n)
	})
}

// The other way round: functions that follow one another without a pause don't starve a merge.
func TestG1_NoLostUpdate_FunctionsDoNotStarveAMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		b := newBusy(t, st)
		slow := func(_ context.Context, call func() error) error {
			time.Sleep(time.Millisecond)
			return call()
		}
		st.Always(slow, "Set", "Get")
		ctx, cancel := context.WithCancel(t.Context())
		var fns sync.WaitGroup
		for range 4 {
			fns.Go(func() {
				for ctx.Err() == nil {
					require.NoError(t, b.UpdateByID(t.Context(), b.id, func(ctx context.Context, s *bridge.Session) error {
						_, err := testkit.Increment(ctx, s)
						return err
					}))
				}
			})
		}
		for range 50 {
			w := b.ask(t.Context(), "/tab")
			require.Equal(t, 200, w.Code, w.Body)
		}
		cancel()
		fns.Wait()
	})
}
