package logins_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/logins"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// limited is a node with limits.
type limited struct {
	*node
	*logins.Limits

	conns    map[string]bool // sessions that have connections
	failures []error         // reported by Failed
}

func newLimited(st store.Store, cfg logins.Config) *limited {
	l := &limited{node: newNode(st), conns: make(map[string]bool)}
	cfg.Gateway = l.Gateway
	cfg.HasConns = func(id string) bool { return l.conns[id] }
	cfg.CountConns = func(string) int { return len(l.conns) }
	cfg.Evicted = func(tag any) any { return fmt.Sprint("evicted by ", tag) }
	cfg.Failed = func(_ context.Context, doing string, err error) {
		l.failures = append(l.failures, fmt.Errorf("%s: %w", doing, err))
	}
	l.Limits = logins.NewLimits(cfg)
	return l
}

// session returns the session as the limits see it, for the commit with the tag "login".
func session(id string, later *gateway.Later) logins.Session {
	return logins.Session{ID: id, ClientID: "client", Tag: "login", Later: later}
}

// logIn logs in within the limit of the user.
func (l *limited) logIn(ctx context.Context, id, userID string) error {
	var later gateway.Later
	defer later.Run()
	return l.Login(ctx, session(id, &later), userID, func() error { return l.login(ctx, id, userID) })
}

const evicted = "evicted by login"

func TestLoginBeyondTheLimitDestroysTheSessionThatWasActiveLeastRecently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newHooked()
		l := newLimited(st, logins.Config{PerUser: 2})
		require.NoError(t, l.logIn(t.Context(), "first", "ada"))
		time.Sleep(time.Minute)
		require.NoError(t, l.logIn(t.Context(), "second", "ada"))
		time.Sleep(time.Minute)
		_, err := l.TouchNow(t.Context(), "first")
		require.NoError(t, err)
		require.NoError(t, l.logIn(t.Context(), "bobs", "bob"))
		require.NoError(t, l.logIn(t.Context(), "third", "ada"))
		require.Equal(t, []string{"bobs", "first", "third"}, stored(t, st))
		require.Equal(t, []string{"second"}, l.ended(evicted))
		time.Sleep(time.Minute)
		require.NoError(t, l.logIn(t.Context(), "first", "ada"))
		require.Len(t, stored(t, st), 3, "a login to a session of the user doesn't count twice")
		time.Sleep(time.Minute)
		require.NoError(t, l.logIn(t.Context(), "bobs", "ada"))
		require.Equal(t, []string{"bobs", "first"}, stored(t, st))
		require.Empty(t, l.failures)
	})
}

// Of sessions that were active at the same time any are destroyed, but not the one of the login.
func TestLimitWithTies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for limit := 1; limit <= 3; limit++ {
			st := newHooked()
			newNode(st).loginAll(t, "ada", names(10)...)
			l := newLimited(st, logins.Config{PerUser: limit})
			require.NoError(t, l.logIn(t.Context(), "new", "ada"))
			require.Len(t, stored(t, st), limit)
			require.Contains(t, stored(t, st), "new")
		}
	})
}

func TestLoginBeyondTheLimitIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newHooked()
		l := newLimited(st, logins.Config{PerUser: 2, Refuse: true})
		require.NoError(t, l.logIn(t.Context(), "first", "ada"))
		require.NoError(t, l.logIn(t.Context(), "second", "ada"))
		err := l.logIn(t.Context(), "third", "ada")
		require.ErrorIs(t, err, logins.ErrTooMany)
		require.ErrorContains(t, err, "2 are allowed")
		require.NoError(t, l.logIn(t.Context(), "first", "ada"), "the session is the user's already")
		require.NoError(t, l.logIn(t.Context(), "third", "bob"))
		require.Equal(t, []string{"first", "second", "third"}, stored(t, st))
		time.Sleep(2 * time.Hour)
		require.NoError(t, l.logIn(t.Context(), "fourth", "ada"), "sessions past their time don't count")
	})
}

func TestLimitWhoseStoreFails(t *testing.T) {
	t.Run("refuse", func(t *testing.T) {
		st := newHooked()
		l := newLimited(st, logins.Config{PerUser: 1, Refuse: true})
		l.loginAll(t, "ada", "first")
		st.on("ByUser", func(context.Context, string) error { return errDown })
		err := l.Login(t.Context(), session("second", nil), "ada", func() error { panic("it must not be stored") })
		require.ErrorIs(t, err, gateway.ErrUnavailable)
		require.ErrorIs(t, err, errDown)
	})
	for _, operation := range []string{"ByUser", "End"} {
		t.Run("evict, "+operation, func(t *testing.T) {
			st := newHooked()
			l := newLimited(st, logins.Config{PerUser: 1})
			l.loginAll(t, "ada", "first")
			st.on(operation, func(context.Context, string) error { return errDown })
			var later gateway.Later
			commit := func() error { return l.login(t.Context(), "second", "ada") }
			require.NoError(t, l.Login(t.Context(), session("second", &later), "ada", commit), "the login is stored")
			require.Empty(t, l.failures, "the caller holds a lock")
			later.Run()
			require.Len(t, l.failures, 1)
			require.ErrorIs(t, l.failures[0], errDown)
			require.ErrorContains(t, l.failures[0], "MaxSessionsPerUser")
			st.on(operation, nil)
			require.NoError(t, l.logIn(t.Context(), "third", "ada"))
			require.Equal(t, []string{"third"}, stored(t, st), "the next login makes up for it")
		})
	}
}

func TestLoginThatIsNotStoredDestroysNothing(t *testing.T) {
	st := newHooked()
	l := newLimited(st, logins.Config{PerUser: 1})
	l.loginAll(t, "ada", "first")
	require.ErrorIs(t, l.Login(t.Context(), session("second", nil), "ada", func() error { return errDown }), errDown)
	require.Panics(t, func() {
		_ = l.Login(t.Context(), session("second", nil), "ada", func() error { panic("bug") })
	})
	require.Equal(t, []string{"first"}, stored(t, st))
	require.NoError(t, l.logIn(t.Context(), "second", "ada"), "the user's turn is over")
}

func TestSessionThatIsAnotherUsersMeanwhileIsNotEvicted(t *testing.T) {
	st := newHooked()
	l := newLimited(st, logins.Config{PerUser: 1})
	l.loginAll(t, "ada", "first")
	st.on("End", func(_ context.Context, id string) error {
		st.change(t, id, func(rec *store.Record) { rec.UserID = "bob" })
		return nil
	})
	require.NoError(t, l.logIn(t.Context(), "second", "ada"))
	require.Empty(t, l.failures)
	require.Equal(t, []string{"first", "second"}, stored(t, st))
}

// Logins in several processes must not evict each other's sessions.
func TestLoginWhoseOwnSessionWasEvictedEvictsNothing(t *testing.T) {
	st := newHooked()
	l := newLimited(st, logins.Config{PerUser: 1})
	l.loginAll(t, "ada", "first", "second")
	require.NoError(t, l.Login(t.Context(), session("third", nil), "ada", func() error { return nil }))
	require.Equal(t, []string{"first", "second"}, stored(t, st))
}

// An end is logged when the caller's locks are free.
func TestEvictionsAreToldByTheLaterOfTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimited(newHooked(), logins.Config{PerUser: 1, PerClient: 1})
		l.loginAll(t, "ada", "first")
		l.loginAll(t, "", "guest")
		time.Sleep(time.Second)
		l.loginAll(t, "", "guests")
		var later gateway.Later
		commit := func() error { return l.login(t.Context(), "second", "ada") }
		require.NoError(t, l.Login(t.Context(), session("second", &later), "ada", commit))
		l.Created(t.Context(), session("guests", &later))
		require.Equal(t, []string{"first", "guest"}, l.ended(evicted))
		require.Zero(t, l.told.Load())
		later.Run()
		require.EqualValues(t, 2, l.told.Load())
	})
}

func TestLoginsOfAUserTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newHooked()
		l := newLimited(st, logins.Config{PerUser: 1})
		hook, release := blockFirst(1)
		st.on("Set", hook)
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { first <- l.logIn(t.Context(), "first", "ada") }()
		synctest.Wait()
		go func() { second <- l.logIn(t.Context(), "second", "ada") }()
		hungUp := errors.New("hung up")
		ctx, cancel := context.WithCancelCause(t.Context())
		third := make(chan error, 1)
		go func() { third <- l.logIn(ctx, "third", "ada") }()
		synctest.Wait()
		require.NoError(t, l.logIn(t.Context(), "bobs", "bob"), "other users don't wait")
		cancel(hungUp)
		require.ErrorIs(t, <-third, hungUp)
		require.Empty(t, second)
		close(release)
		require.NoError(t, <-first)
		require.NoError(t, <-second)
		require.Equal(t, []string{"bobs", "second"}, stored(t, st))
		commit := func() error { return l.login(t.Context(), "fourth", "ada") }
		require.NoError(t, l.Login(ctx, session("fourth", nil), "ada", commit), "a free turn doesn't ask the context")
	})
}

func TestLimitHoldsWhenManyLogInAtOnce(t *testing.T) {
	for _, refuse := range []bool{false, true} {
		t.Run(fmt.Sprint("refuse ", refuse), func(t *testing.T) {
			st := livestore.New()
			l := newLimited(st, logins.Config{PerUser: 3, Refuse: refuse})
			var all sync.WaitGroup
			for i := range 64 {
				all.Go(func() {
					err := l.logIn(t.Context(), fmt.Sprint(i), []string{"ada", "bob"}[i%2])
					if !refuse || !errors.Is(err, logins.ErrTooMany) {
						require.NoError(t, err)
					}
				})
			}
			all.Wait()
			require.Len(t, stored(t, st), 2*3)
		})
	}
}

func TestNoLimitAsksNothing(t *testing.T) {
	l := newLimited(newHooked(), logins.Config{PerUser: -1, PerClient: -1})
	require.ErrorIs(t, l.Login(t.Context(), session("s", nil), "ada", func() error { return errDown }), errDown)
	l.Created(t.Context(), session("s", nil))
	bare := newLimited(struct{ store.Store }{livestore.New()}, logins.Config{PerClient: 1})
	bare.Created(t.Context(), session("s", nil))
	require.Empty(t, bare.failures, "the store can't find a client's sessions")
}

// create creates a session without a user within the limit of the client.
func (l *limited) create(t testing.TB, id string) {
	t.Helper()
	var later gateway.Later
	defer later.Run()
	l.loginAll(t, "", id)
	l.Created(t.Context(), session(id, &later))
}

func TestNewSessionDestroysTheClientsOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newHooked()
		l := newLimited(st, logins.Config{PerClient: 2})
		l.loginAll(t, "ada", "adas")
		for i, id := range names(6) {
			time.Sleep(time.Second)
			l.create(t, id)
			require.Equal(t, append([]string{"adas"}, names(6)[max(i-1, 0):i+1]...), stored(t, st))
		}
		require.Equal(t, names(4), l.ended(evicted))
	})
}

// Sessions with connections don't end, and don't hide others.
func TestSessionWithConnectionsIsSpared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newHooked()
		l := newLimited(st, logins.Config{PerClient: 2})
		connected := names(20)
		for _, id := range connected {
			l.conns[id] = true
			l.create(t, id)
			time.Sleep(time.Second)
		}
		require.Equal(t, connected, stored(t, st))
		for _, id := range []string{"t1", "t2", "t3"} {
			l.create(t, id)
			time.Sleep(time.Second)
		}
		require.Equal(t, append(connected, "t2", "t3"), stored(t, st))
	})
}

// With a slow clock the new session is the oldest. Another one is destroyed instead.
func TestNewSessionIsSparedWhateverItsClockSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newHooked()
		l := newLimited(st, logins.Config{PerClient: 2})
		time.Sleep(time.Minute)
		l.create(t, "a")
		time.Sleep(time.Second)
		l.create(t, "b")
		l.loginAll(t, "", "new")
		st.change(t, "new", func(rec *store.Record) { rec.Created = rec.Created.Add(-time.Minute) })
		l.Created(t.Context(), session("new", nil))
		require.Equal(t, []string{"b", "new"}, stored(t, st))
	})
}

func TestClientsSessionThatIsAUsersMeanwhileGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newHooked()
		l := newLimited(st, logins.Config{PerClient: 1})
		l.create(t, "a")
		time.Sleep(time.Second)
		st.on("End", func(_ context.Context, id string) error {
			st.change(t, id, func(rec *store.Record) { rec.UserID = "ada" })
			return nil
		})
		l.create(t, "b")
		require.Equal(t, []string{"a", "b"}, stored(t, st))
		require.Empty(t, l.failures)
	})
}

func TestClientLimitWhoseStoreFails(t *testing.T) {
	for _, operation := range []string{"SurplusByClient", "End"} {
		t.Run(operation, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newHooked()
				l := newLimited(st, logins.Config{PerClient: 1})
				l.loginAll(t, "", "a")
				time.Sleep(time.Second)
				l.loginAll(t, "", "b")
				st.on(operation, func(context.Context, string) error { return errDown })
				var later gateway.Later
				l.Created(t.Context(), session("b", &later))
				require.Empty(t, l.failures, "the caller holds a lock")
				later.Run()
				require.Len(t, l.failures, 1)
				require.ErrorIs(t, l.failures[0], errDown)
				require.ErrorContains(t, l.failures[0], "MaxSessionsPerClient")
			})
		})
	}
}
