package bridge_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/livestore"
)

var errChanged = errors.New("changed meanwhile")

func TestRevisionGrowsWithChangesOnly(t *testing.T) {
	st := livestore.New()
	b := testkit.NewBridge(t, st, nil)
	c, err := b.Create(t.Context(), bridge.NewSession{UserID: "ada"})
	require.NoError(t, err)
	revision := func() uint64 {
		info, err := b.Info(t.Context(), c.SessionID)
		require.NoError(t, err)
		require.Equal(t, teststore.Stored(t, st, c.SessionID).Revision, info.Revision)
		return info.Revision
	}
	first := revision()
	require.NotZero(t, first)
	require.NoError(t, b.TouchByID(t.Context(), c.SessionID))
	require.Equal(t, first, revision(), "activity is no change")
	require.NoError(t, testkit.Merge(t.Context(), b, c.SessionID, map[string]any{"a": 1}))
	require.Greater(t, revision(), first)
}

func TestInfoOfASessionIsThatOfWhatItHasReadOrStored(t *testing.T) {
	b := testkit.NewBridge(t, livestore.New(), nil)
	c, err := b.Create(t.Context(), bridge.NewSession{UserID: "ada"})
	require.NoError(t, err)
	before, err := b.Info(t.Context(), c.SessionID)
	require.NoError(t, err)
	var s *bridge.Session
	require.NoError(t, b.UpdateByID(t.Context(), c.SessionID, func(_ context.Context, in *bridge.Session) error {
		s = in
		s.Set("a", 1)
		require.Equal(t, before.Revision, s.Info().Revision, "nothing is stored yet")
		return nil
	}))
	after, err := b.Info(t.Context(), c.SessionID)
	require.NoError(t, err)
	require.Greater(t, after.Revision, before.Revision)
	require.Equal(t, after.Revision, s.Info().Revision)
	require.Equal(t, after.Bytes, s.Info().Bytes)
	got, err := b.GetByID(t.Context(), c.SessionID)
	require.NoError(t, err)
	require.Equal(t, after, got.Info())
}

func TestRevisionIsACompareAndSet(t *testing.T) {
	st := livestore.New()
	b := testkit.NewBridge(t, st, nil)
	c, err := b.Create(t.Context(), bridge.NewSession{})
	require.NoError(t, err)
	seen, err := b.Info(t.Context(), c.SessionID)
	require.NoError(t, err)
	runs := 0
	err = b.UpdateByID(t.Context(), c.SessionID, func(_ context.Context, s *bridge.Session) error {
		if runs++; s.Info().Revision != seen.Revision {
			return errChanged
		}
		rec := teststore.Stored(t, st, c.SessionID) // another process changes it before this one stores
		rec.Data = []byte(`{"other":1}`)
		_, err := st.Set(t.Context(), rec)
		require.NoError(t, err)
		s.Set("mine", 1)
		return nil
	})
	require.ErrorIs(t, err, errChanged)
	require.Equal(t, 2, runs)
}

func TestPeekCredentialsIsNoActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := testkit.NewBridge(t, livestore.New(), testkit.Expiring(time.Hour))
		c, err := b.Create(t.Context(), bridge.NewSession{UserID: "ada"})
		require.NoError(t, err)
		for range 2 {
			time.Sleep(testkit.Idle / 2)
			s, err := b.PeekCredentials(t.Context(), c)
			require.NoError(t, err)
			require.Equal(t, "ada", s.UserID())
		}
		time.Sleep(testkit.Touch + time.Second)
		_, err = b.PeekCredentials(t.Context(), c)
		require.ErrorIs(t, err, bridge.ErrSessionMissing)
		_, err = b.PeekCredentials(t.Context(), bridge.Credentials{Token: "forged"})
		require.ErrorIs(t, err, bridge.ErrCredentials)
	})
}

func TestCheckOriginIsThatOfAHandshake(t *testing.T) {
	b := testkit.NewBridge(t, livestore.New(), &bridge.Options{OriginPatterns: []string{"friend.example"}})
	check := func(origin string, upgrade bool, target string) error {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		if upgrade {
			r.Header.Set("Upgrade", "websocket")
		}
		return b.CheckOrigin(r)
	}
	require.NoError(t, check("", true, "https://app.example/ws"))
	require.NoError(t, check("https://app.example", true, "https://app.example/ws"))
	require.NoError(t, check("https://friend.example", true, "https://app.example/ws"))
	require.ErrorIs(t, check("https://evil.example", true, "https://app.example/ws"), bridge.ErrOrigin)
	require.ErrorIs(t, check("https://evil.example", false, "https://app.example/ws"), bridge.ErrOrigin)
	require.ErrorIs(t, check("http://app.example", true, "http://app.example/ws"), bridge.ErrPlainHTTP)
	require.NoError(t, check("http://app.localhost", true, "http://app.localhost/ws"))
}
