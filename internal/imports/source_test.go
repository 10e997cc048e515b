package imports_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/imports"
	"github.com/sessionbridge/sessionbridge/internal/logins"
)

// source returns a Source of a session with these contents.
func source(userID string, values map[string]any, ok bool, err error) *imports.Source {
	return &imports.Source{Load: func(context.Context) (string, map[string]any, bool, error) { return userID, values, ok, err }}
}

func TestReadReturnsWhatLoadReturns(t *testing.T) {
	values := map[string]any{"k": 1}
	for name, c := range map[string]struct {
		*imports.Source
		want *imports.Foreign
	}{
		"a guest":              {source("", values, true, nil), &imports.Foreign{Values: values}},
		"a user":               {source("ann", nil, true, nil), &imports.Foreign{UserID: "ann"}},
		"no session":           {source("ann", values, false, nil), nil},
		"a guest with nothing": {source("", map[string]any{}, true, nil), nil},
	} {
		got, err := c.Read(t.Context())
		require.NoError(t, err, name)
		require.Equal(t, c.want, got, name)
	}
}

func TestReadTellsErrorsApart(t *testing.T) {
	own := errors.New("the database is away")
	_, err := source("", nil, false, own).Read(t.Context())
	require.ErrorIs(t, err, gateway.ErrUnavailable)
	require.ErrorIs(t, err, own)

	_, err = source("", nil, false, &gateway.ValueError{Key: "k", Err: own}).Read(t.Context())
	var value *gateway.ValueError
	require.ErrorAs(t, err, &value)
	require.NotErrorIs(t, err, gateway.ErrUnavailable)

	_, err = source(strings.Repeat("u", 256), nil, true, nil).Read(t.Context())
	require.Error(t, err)
	require.NotErrorIs(t, err, logins.ErrUserID, "the client can't do anything about it")
	require.NotErrorIs(t, err, gateway.ErrUnavailable)
}

func TestTimesOfTheOtherLibrary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		for _, c := range []struct {
			loggedIn, expires time.Time // what Load sets
			wantLoggedIn      time.Time
			wantLifetime      time.Duration
			none              bool
		}{
			{},
			{loggedIn: now.Add(-time.Hour), wantLoggedIn: now.Add(-time.Hour).UTC()},
			{loggedIn: now, wantLoggedIn: now.UTC()},
			{loggedIn: now.Add(1)},
			{loggedIn: time.Unix(0, 0)},
			{loggedIn: now.Add(-1), wantLoggedIn: now.Add(-time.Millisecond).UTC()},
			{expires: now.Add(time.Hour + 1), wantLifetime: time.Hour},
			{expires: now, none: true},
			{expires: now.Add(time.Millisecond - 1), none: true},
			{expires: now.Add(-time.Hour), none: true},
		} {
			s := source("ann", nil, true, nil)
			load := s.Load
			s.Load = func(ctx context.Context) (string, map[string]any, bool, error) {
				s.LoggedIn, s.Expires = c.loggedIn, c.expires
				return load(ctx)
			}
			f, err := s.Read(t.Context())
			require.NoError(t, err)
			if c.none {
				require.Nil(t, f)
				continue
			}
			require.Equal(t, c.wantLoggedIn, f.LoggedIn)
			require.Equal(t, c.wantLifetime, f.Lifetime)
		}
	})
}

func TestAnImportProlongsNothing(t *testing.T) {
	for _, c := range []struct {
		left, full, lifetime time.Duration
		limited              bool
	}{
		{0, 0, 0, false},
		{0, time.Hour, time.Hour, false},
		{time.Minute, 0, time.Minute, true},
		{time.Minute, time.Hour, time.Minute, true},
		{time.Hour, time.Hour, time.Hour, false},
		{2 * time.Hour, time.Hour, time.Hour, false},
	} {
		lifetime, limited := (&imports.Foreign{Lifetime: c.left}).Limit(c.full)
		require.Equal(t, c.lifetime, lifetime, c)
		require.Equal(t, c.limited, limited, c)
	}
}
