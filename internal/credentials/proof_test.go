package credentials_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/store"
)

func TestTokensAreProved(t *testing.T) {
	const (
		rotate = 10 * time.Second
		renew  = time.Hour
	)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(24 * time.Hour)
		current, previous, older := credentials.NewToken(), credentials.NewToken(), credentials.NewToken()
		now := time.Now()
		const proved, replaced, refused = credentials.Proved, credentials.Replaced, credentials.Refused
		for name, c := range map[string]struct {
			token   credentials.Token
			renewal store.Renewal
			login   bool          // has made the current token
			age     time.Duration // of the current token when the request began
			issued  time.Duration // how long before the request its cookie was signed, in whole seconds; 0: unknown
			want    credentials.Verdict
		}{
			"current":                               {current, store.NotRenewed, false, time.Minute, 0, proved},
			"current, of a login":                   {current, store.NotRenewed, true, -time.Minute, 0, proved},
			"older":                                 {older, store.NotRenewed, false, time.Second, 0, refused},
			"older, request from before":            {older, store.NotRenewed, false, -time.Second, 0, replaced},
			"previous, in the grace period":         {previous, store.NotRenewed, false, rotate - 1, 0, proved},
			"previous, past it":                     {previous, store.NotRenewed, false, rotate, 0, refused},
			"previous, replaced by a login":         {previous, store.NotRenewed, true, rotate - 1, 0, replaced},
			"previous, login, past it":              {previous, store.NotRenewed, true, rotate, 0, refused},
			"previous, renewal not received":        {previous, store.RenewalSent, false, renew - 1, 0, proved},
			"previous, renewal too old":             {previous, store.RenewalSent, false, renew, 0, refused},
			"previous, renewal received":            {previous, store.RenewalSeen, false, rotate - 1, 0, proved},
			"previous, received, past it":           {previous, store.RenewalSeen, false, rotate, 0, refused},
			"previous, of a late response":          {previous, store.RenewalSeen, false, rotate, 3*time.Minute - time.Second, proved},
			"previous, of a response too late":      {previous, store.RenewalSeen, false, rotate, 3 * time.Minute, refused},
			"previous, rotation received":           {previous, store.RotationSeen, false, 0, 0, refused},
			"previous, rotation, request of before": {previous, store.RotationSeen, false, -1, 0, proved},
		} {
			rec := store.Record{
				TokenHash: current.Hash(), PrevTokenHash: previous.Hash(), TokenGeneration: 7,
				RotatedAt: now.Add(-c.age), Renewal: c.renewal,
			}
			if c.login {
				rec.LoginGeneration = 7
			}
			cred := credentials.Session{ID: sessionID, Token: c.token}
			if c.issued != 0 {
				cred.Signed = now.Add(-c.issued).Unix()
			}
			generation, got := credentials.Grace{Rotate: rotate, Renew: renew}.Prove(&rec, &cred, now)
			require.Equal(t, c.want, got, name)
			switch {
			case got != proved:
				require.Zero(t, generation, name)
			case c.token == current:
				require.EqualValues(t, 7, generation, name)
			default:
				require.EqualValues(t, 6, generation, name)
			}
		}
	})
}

// A replacement further in the future than any grace period means that a clock was set back.
func TestTokensAreNotProvedByAClockSetBack(t *testing.T) {
	previous, now := credentials.NewToken(), time.Now()
	grace := credentials.Grace{Rotate: 10 * time.Second}
	rec := store.Record{
		TokenHash: credentials.NewToken().Hash(), PrevTokenHash: previous.Hash(),
		TokenGeneration: 2, RotatedAt: now.Add(time.Minute),
	}
	cred := credentials.Session{ID: sessionID, Token: previous}
	_, verdict := grace.Prove(&rec, &cred, now)
	require.Equal(t, credentials.Refused, verdict)
	rec.RotatedAt = now.Add(5 * time.Second)
	_, verdict = grace.Prove(&rec, &cred, now)
	require.Equal(t, credentials.Proved, verdict)
}

func TestNoGracePeriodMeansNone(t *testing.T) {
	previous, now := credentials.NewToken(), time.Now()
	rec := store.Record{
		TokenHash: credentials.NewToken().Hash(), PrevTokenHash: previous.Hash(),
		TokenGeneration: 2, RotatedAt: now.Add(-1),
	}
	cred := credentials.Session{ID: sessionID, Token: previous}
	_, verdict := credentials.Grace{}.Prove(&rec, &cred, now)
	require.Equal(t, credentials.Refused, verdict)
	rec.PrevTokenHash, cred.Token = store.TokenHash{}, credentials.Token{}
	_, verdict = credentials.Grace{Rotate: time.Hour}.Prove(&rec, &cred, now)
	require.Equal(t, credentials.Refused, verdict, "the record has no previous token")
}

func TestBestOfSeveralCredentialsCounts(t *testing.T) {
	current, previous, unknown := credentials.NewToken(), credentials.NewToken(), credentials.NewToken()
	began := time.Now()
	rec := store.Record{
		TokenHash: current.Hash(), PrevTokenHash: previous.Hash(),
		TokenGeneration: 7, RotatedAt: began.Add(-time.Second),
	}
	grace := credentials.Grace{Rotate: time.Minute}
	const proved, replaced, refused = credentials.Proved, credentials.Replaced, credentials.Refused
	none := credentials.Token{}
	for name, c := range map[string]struct {
		tokens     tokens
		began      time.Time
		generation uint64
		token      credentials.Token
		verdict    credentials.Verdict
	}{
		"none":                        {nil, began, 0, none, refused},
		"current after previous":      {tokens{previous, current}, began, 7, current, proved},
		"current before previous":     {tokens{current, previous}, began, 7, current, proved},
		"previous among unknown ones": {tokens{unknown, previous, unknown}, began, 6, previous, proved},
		"unknown ones":                {tokens{unknown, unknown}, began, 0, none, refused},
		"replaced":                    {tokens{unknown}, began.Add(-time.Minute), 0, none, replaced},
		"replaced after proved":       {tokens{current, unknown}, began.Add(-time.Minute), 7, current, proved},
	} {
		var creds []credentials.Session
		for _, token := range c.tokens {
			creds = append(creds, credentials.Session{ID: sessionID, Token: token})
		}
		generation, token, verdict := grace.ProveAny(&rec, creds, c.began)
		require.Equal(t, c.verdict, verdict, name)
		require.Equal(t, c.generation, generation, name)
		require.Equal(t, c.token, token, name)
	}
}

func TestPreviousTokenRetires(t *testing.T) {
	rotated := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	rec := store.Record{RotatedAt: rotated}
	grace := credentials.Grace{Rotate: 10 * time.Second}
	require.Equal(t, rotated.Add(3*time.Second), grace.RetireAt(&rec, rotated.Add(3*time.Second+999)))
	require.Equal(t, rotated.Add(10*time.Second), grace.RetireAt(&rec, rotated.Add(time.Minute)))
}
