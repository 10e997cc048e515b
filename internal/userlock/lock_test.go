package userlock

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/background"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testmain"
)

func TestMain(m *testing.M) { testmain.Run(m) }

var errLost, errServer = errors.New("lost"), errors.New("the server fails")

// server has a lock that expires.
type server struct {
	mu      sync.Mutex
	expires time.Time
	calls   []bool
	err     error
}

func (s *server) set(_ context.Context, _ string, lock bool) (had bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, lock)
	if s.err != nil {
		return false, s.err
	}
	had = time.Now().Before(s.expires)
	s.expires = time.Time{}
	if lock {
		s.expires = time.Now().Add(10 * time.Second)
	}
	return had, nil
}

func take(t *testing.T, s *server) (unlock func(context.Context) error) {
	t.Helper()
	group := background.New()
	unlock, err := Take(t.Context(), Config{Background: group, Set: s.set, Lost: errLost})
	require.NoError(t, err)
	context.AfterFunc(t.Context(), group.Close)
	return unlock
}

// expire lets the lock expire.
func (s *server) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expires = time.Time{}
}

// fail makes calls fail with err, nil for none.
func (s *server) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func TestALockIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		unlock := take(t, s)
		time.Sleep(time.Minute + time.Second)
		require.NoError(t, unlock(t.Context()))
		want := 1 + int(time.Minute/Renewal) + 1
		require.Len(t, s.calls, want)
		require.NoError(t, unlock(t.Context()), "it is unlocked")
		require.Len(t, s.calls, want)
	})
}

func TestALockThatWasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		unlock := take(t, s)
		time.Sleep(time.Second)
		s.fail(errServer)
		time.Sleep(30 * time.Second)
		require.ErrorIs(t, unlock(t.Context()), errServer)
		s.fail(nil)
		require.ErrorIs(t, unlock(t.Context()), errLost, "it has expired")

		unlock = take(t, s)
		time.Sleep(time.Second)
		s.expire() // somebody else has had it since
		time.Sleep(time.Minute)
		require.ErrorIs(t, unlock(t.Context()), errLost, "although it was renewed")
	})
}

// TestALockWhoseReplyIsLost is unlocked: the server may have it.
func TestALockWhoseReplyIsLost(t *testing.T) {
	s := &server{err: errServer}
	_, err := Take(t.Context(), Config{Set: s.set, Lost: errLost})
	require.ErrorIs(t, err, errServer)
	require.Equal(t, []bool{true, false}, s.calls)
}

func TestALockOfAStoreThatIsClosed(t *testing.T) {
	s, group := &server{}, background.New()
	group.Close()
	unlock, err := Take(t.Context(), Config{Background: group, Set: s.set, Lost: errLost})
	require.NoError(t, err)
	require.NoError(t, unlock(t.Context()))
}
