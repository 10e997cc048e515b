package logins_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// blockFirst returns a hook whose first n calls wait until the channel is closed.
func blockFirst(n int64) (hook func(context.Context, string) error, release chan struct{}) {
	release = make(chan struct{})
	var calls atomic.Int64
	return func(context.Context, string) error {
		if calls.Add(1) <= n {
			<-release
		}
		return nil
	}, release
}

func TestLoginThatIsOnItsWayToTheStoreIsDestroyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newHooked()
		n := newNode(st)
		hook, release := blockFirst(1)
		st.on("Set", hook)
		loggedIn := make(chan error, 1)
		go func() { loggedIn <- n.login(t.Context(), "s", "ada") }()
		synctest.Wait()
		destroyed := n.destroyUser(t.Context(), "ada")
		bobs := n.destroyUser(t.Context(), "bob")
		synctest.Wait()
		require.Empty(t, destroyed, "it waits for the login")
		require.Equal(t, outcome{}, <-bobs, "which isn't bob's")
		close(release)
		require.NoError(t, <-loggedIn)
		require.Equal(t, outcome{1, nil}, <-destroyed)
		require.Equal(t, []string{"s"}, n.ended("bulk"))
	})
}

func TestLoginThatFailsIsNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newHooked()
		n := newNode(st)
		hook, release := blockFirst(1)
		st.on("Set", func(ctx context.Context, id string) error { return errors.Join(hook(ctx, id), errDown) })
		loggedIn := make(chan error, 1)
		go func() { loggedIn <- n.login(t.Context(), "s", "ada") }()
		synctest.Wait()
		destroyed := n.destroyUser(t.Context(), "ada")
		synctest.Wait()
		close(release)
		require.ErrorIs(t, <-loggedIn, errDown)
		require.Equal(t, outcome{}, <-destroyed)
	})
}

// A login that begins after the bulk destroy neither waits for it nor is destroyed, in a new
// session or another user's.
func TestLoginAfterTheBulkDestroyHasBegunSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newHooked()
		n := newNode(st)
		n.loginAll(t, "ada", "old", "kept")
		n.loginAll(t, "bob", "bobs")
		hook, release := blockFirst(1)
		st.on("End", hook)
		destroyed := n.destroyUser(t.Context(), "ada", "kept", "unknown")
		synctest.Wait()
		n.loginAll(t, "ada", "fresh", "bobs", "bobs", "kept")
		n.loginAll(t, "bob", "kept")
		close(release)
		require.Equal(t, outcome{1, nil}, <-destroyed)
		require.Equal(t, []string{"bobs", "fresh", "kept"}, stored(t, st))
	})
}

// A login to a session that waits for its end fails, for any user, and ends the session.
func TestLoginToASessionThatIsAboutToEndDestroysIt(t *testing.T) {
	for _, user := range []string{"ada", "bob"} {
		t.Run("as "+user, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newHooked()
				n := newNode(st)
				all := names(40) // more than are destroyed at once
				n.loginAll(t, "ada", all...)
				hook, release := blockFirst(32)
				var begun sync.Map
				st.on("End", func(ctx context.Context, id string) error {
					begun.Store(id, true)
					return hook(ctx, id)
				})
				destroyed := n.destroyUser(t.Context(), "ada")
				synctest.Wait()
				waiting := 0
				for _, id := range all {
					if _, ok := begun.Load(id); !ok {
						require.ErrorIs(t, n.login(t.Context(), id, user), gateway.ErrGone)
						require.Contains(t, n.ended("bulk"), id)
						waiting++
					}
				}
				require.Equal(t, 8, waiting)
				close(release)
				require.Equal(t, outcome{40, nil}, <-destroyed)
				require.Empty(t, stored(t, st))
			})
		})
	}
}

func TestDestroyAllTakesTheSessionThatIsBeingCreated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newHooked()
		n := newNode(st)
		n.loginAll(t, "ada", "adas")
		n.loginAll(t, "", "guest")
		hook, release := blockFirst(1)
		st.on("Set", hook)
		created := make(chan error, 1)
		go func() { created <- n.login(t.Context(), "early", "") }()
		synctest.Wait()
		ending, unblock := blockFirst(1)
		st.on("End", ending)
		destroyed := make(chan outcome, 1)
		go func() {
			count, err := n.gate.DestroyAll(t.Context(), n.Gateway, "bulk")
			destroyed <- outcome{count, err}
		}()
		synctest.Wait()
		require.Empty(t, destroyed)
		close(release)
		require.NoError(t, <-created)
		synctest.Wait()
		n.loginAll(t, "", "late")
		close(unblock)
		require.Equal(t, outcome{3, nil}, <-destroyed)
		require.Equal(t, []string{"late"}, stored(t, st))
	})
}

// A session may change after it was listed, also by another process. It is destroyed only at the
// revision that was looked at.
func TestSessionThatIsAnotherUsersMeanwhileGoesOn(t *testing.T) {
	for _, operation := range []string{"ByUser", "Get", "End"} {
		t.Run("before "+operation, func(t *testing.T) {
			st := newHooked()
			n := newNode(st)
			n.loginAll(t, "ada", "adas", "bobs", "changed")
			var once sync.Map
			st.on(operation, func(_ context.Context, id string) error {
				if _, again := once.LoadOrStore(id, true); again || id == "adas" {
					return nil
				}
				st.change(t, id, func(rec *store.Record) {
					if id == "bobs" {
						rec.UserID = "bob"
					}
				})
				return nil
			})
			require.Equal(t, outcome{2, nil}, <-n.destroyUser(t.Context(), "ada"))
			require.Equal(t, []string{"adas", "changed"}, n.ended("bulk"))
			require.Equal(t, []string{"bobs"}, stored(t, st))
		})
	}
}

func TestExpiredSessionsAreNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newHooked()
		n := newNode(st)
		n.loginAll(t, "ada", "expired")
		time.Sleep(2 * time.Hour)
		n.loginAll(t, "ada", "alive")
		require.Equal(t, outcome{1, nil}, <-n.destroyUser(t.Context(), "ada"))
		require.Empty(t, stored(t, st))
		require.Equal(t, []string{"expired"}, n.ended(nil))
	})
}

func TestBulkDestroyGoesOnPastFailures(t *testing.T) {
	st := newHooked()
	n := newNode(st)
	n.loginAll(t, "ada", names(10)...)
	st.on("End", func(_ context.Context, id string) error {
		switch id {
		case "s03":
			return errDown
		case "s05":
			panic("the store has a bug")
		}
		return nil
	})
	got := <-n.destroyUser(t.Context(), "ada")
	require.Equal(t, 8, got.n)
	require.ErrorIs(t, got.err, errDown)
	require.ErrorIs(t, got.err, gateway.ErrUnavailable)
	require.ErrorContains(t, got.err, "the store has a bug")
	st.on("End", nil)
	require.Equal(t, outcome{2, nil}, <-n.destroyUser(t.Context(), "ada"))
}

func TestBulkDestroyGivesUpWhenTheStoreIsDown(t *testing.T) {
	st := newHooked()
	n := newNode(st)
	for i := range 200 {
		n.loginAll(t, "ada", fmt.Sprint(i))
	}
	var tried atomic.Int64
	st.on("End", func(context.Context, string) error { tried.Add(1); return errDown })
	got := <-n.destroyUser(t.Context(), "ada")
	require.Zero(t, got.n)
	require.ErrorIs(t, got.err, errDown)
	require.LessOrEqual(t, tried.Load(), int64(2*32))
}

// The sessions that the store has listed before it fails are destroyed.
func TestBulkDestroyWhoseListFails(t *testing.T) {
	st := newHooked()
	n := newNode(st)
	n.loginAll(t, "ada", names(3)...)
	listed := 0
	st.on("ByUser", func(context.Context, string) error {
		if listed++; listed == 3 {
			return errDown
		}
		return nil
	})
	got := <-n.destroyUser(t.Context(), "ada")
	require.Equal(t, 2, got.n)
	require.ErrorIs(t, got.err, gateway.ErrUnavailable)
	require.ErrorIs(t, got.err, errDown)
	require.Len(t, stored(t, st), 1)
}

// A panic of the store ends the bulk destroy: no later login helps it.
func TestBulkDestroyWhoseListPanics(t *testing.T) {
	st := newHooked()
	n := newNode(st)
	n.loginAll(t, "ada", "s")
	st.on("ByUser", func(context.Context, string) error { panic("bug") })
	require.PanicsWithValue(t, "bug", func() {
		_, _ = n.gate.DestroyUser(t.Context(), n.Gateway, "ada", nil, "bulk")
	})
	n.loginAll(t, "ada", "s")
	require.Equal(t, []string{"s"}, stored(t, st))
}

func TestBulkDestroyEndsWithItsContext(t *testing.T) {
	enough := errors.New("enough")
	hang := func(ctx context.Context, _ string) error {
		<-ctx.Done()
		return ctx.Err()
	}
	t.Run("while it waits for a login", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			st := newHooked()
			n := newNode(st)
			hook, release := blockFirst(1)
			st.on("Set", hook)
			loggedIn := make(chan error, 1)
			go func() { loggedIn <- n.login(t.Context(), "s", "ada") }()
			synctest.Wait()
			ctx, cancel := context.WithCancelCause(t.Context())
			destroyed := n.destroyUser(ctx, "ada")
			synctest.Wait()
			cancel(enough)
			require.ErrorIs(t, (<-destroyed).err, enough)
			close(release)
			require.NoError(t, <-loggedIn)
			require.Equal(t, []string{"s"}, stored(t, st))
		})
	})
	for _, operation := range []string{"ByUser", "Get", "End"} {
		t.Run("while the store hangs at "+operation, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newHooked()
				n := newNode(st)
				n.loginAll(t, "ada", names(40)...)
				st.on(operation, hang)
				ctx, cancel := context.WithCancelCause(t.Context())
				destroyed := n.destroyUser(ctx, "ada")
				synctest.Wait()
				cancel(enough)
				got := <-destroyed
				require.Zero(t, got.n)
				require.ErrorIs(t, got.err, enough)
				require.NotErrorIs(t, got.err, gateway.ErrUnavailable, "the caller has given up")
				st.on(operation, nil)
				require.Equal(t, outcome{40, nil}, <-n.destroyUser(t.Context(), "ada"))
			})
		})
	}
}

// With a store that locks the user, the logins of all processes wait, and come after it.
func TestLoginsWaitWhereTheStoreLocksTheUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newLocker()
		here, there := newNode(st), newNode(st)
		here.loginAll(t, "ada", "old")
		hook, release := blockFirst(1)
		st.on("End", hook)
		destroyed := here.destroyUser(t.Context(), "ada")
		synctest.Wait()
		loggedIn := make(chan error, 2)
		go func() { loggedIn <- here.login(t.Context(), "here", "ada") }()
		go func() { loggedIn <- there.login(t.Context(), "there", "ada") }()
		there.loginAll(t, "bob", "bobs")
		time.Sleep(time.Second)
		require.Empty(t, loggedIn)
		close(release)
		require.Equal(t, outcome{1, nil}, <-destroyed)
		require.NoError(t, <-loggedIn)
		require.NoError(t, <-loggedIn)
		require.Equal(t, []string{"bobs", "here", "there"}, stored(t, st))
	})
}

func TestUserThatCannotBeLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newLocker()
		n := newNode(st)
		n.loginAll(t, "ada", "s")
		st.on("LockUser", func(context.Context, string) error { return errDown })
		got := <-n.destroyUser(t.Context(), "ada")
		require.Zero(t, got.n)
		require.ErrorIs(t, got.err, gateway.ErrUnavailable)
		require.ErrorIs(t, got.err, errDown)

		st.on("LockUser", func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() })
		began := time.Now()
		require.ErrorIs(t, (<-n.destroyUser(t.Context(), "ada")).err, gateway.ErrUnavailable)
		require.Equal(t, storeTimeout, time.Since(began))
		enough := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Millisecond, func() { cancel(enough) })
		got = <-n.destroyUser(ctx, "ada")
		require.ErrorIs(t, got.err, enough)
		require.NotErrorIs(t, got.err, gateway.ErrUnavailable)

		require.Equal(t, []string{"s"}, stored(t, st))
		st.on("LockUser", nil)
		n.loginAll(t, "ada", "s")
	})
}

// A lock that was lost meanwhile may have let a login through: the caller learns of it.
func TestLockThatWasLost(t *testing.T) {
	st := newLocker()
	n := newNode(st)
	n.loginAll(t, "ada", "s")
	st.on("unlock", func(context.Context, string) error { return errDown })
	got := <-n.destroyUser(t.Context(), "ada")
	require.Equal(t, 1, got.n)
	require.ErrorIs(t, got.err, gateway.ErrUnavailable)
	require.ErrorContains(t, got.err, "one may have been missed")
}

func TestBulkDestroyNeedsAStoreThatLists(t *testing.T) {
	n := newNode(struct{ store.Store }{livestore.New()})
	_, err := n.gate.DestroyUser(t.Context(), n.Gateway, "ada", nil, nil)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	_, err = n.gate.DestroyAll(t.Context(), n.Gateway, nil)
	require.ErrorIs(t, err, errors.ErrUnsupported)
}

// A login that had returned before a bulk destroy began doesn't outlive it,
// whatever happens at the same time.
func TestNoLoginOutlivesALaterBulkDestroy(t *testing.T) {
	for name, open := range map[string]func() store.Store{
		"a livestore":        func() store.Store { return livestore.New() },
		"a store that locks": func() store.Store { return newLocker() },
	} {
		t.Run(name, func(t *testing.T) {
			st := open()
			nodes := []*node{newNode(st)}
			if _, ok := st.(store.UserLocker); ok {
				nodes = append(nodes, newNode(st))
			}
			var mu sync.Mutex
			before := make(map[string]store.TokenHash) // of the logins that have returned
			more := make(chan struct{})
			ctx, stop := context.WithCancel(t.Context())
			var all sync.WaitGroup
			for worker := range 8 {
				n := nodes[worker%len(nodes)]
				all.Go(func() {
					for i := 0; ctx.Err() == nil; i++ {
						id := fmt.Sprintf("%d-%d", worker, i%5)
						d, err := n.draft(t.Context(), id, "ada")
						if err != nil || n.Commit(t.Context(), d, "login") != nil {
							continue
						}
						mu.Lock()
						before[id] = d.Base().TokenHash
						mu.Unlock()
						select {
						case more <- struct{}{}:
						case <-ctx.Done():
						}
					}
				})
			}
			for i := range 100 {
				for range 4 {
					<-more
				}
				mu.Lock()
				logins := maps.Clone(before)
				mu.Unlock()
				n := nodes[i%len(nodes)]
				_, err := n.gate.DestroyUser(t.Context(), n.Gateway, "ada", nil, "bulk")
				require.NoError(t, err)
				for id, hash := range logins {
					if rec, err := st.Get(t.Context(), id); err == nil {
						require.NotEqual(t, hash, rec.TokenHash, "the session is another one")
					} else {
						require.ErrorIs(t, err, store.ErrNotFound)
					}
				}
			}
			stop()
			all.Wait()
		})
	}
}
