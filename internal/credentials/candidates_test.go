package credentials_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/store"
)

func id(n int) string { return fmt.Sprintf("6ba7b810-9dad-41d1-80b4-%012d", n) }

// visitor has cookies for several sessions.
type visitor struct {
	t     *testing.T
	codec *credentials.Codec
	have  []jar
}

// visit adds the cookie of a session.
func (v *visitor) visit(session int) {
	cred := credentials.Session{ID: id(session), Token: credentials.NewToken()}
	v.have = append(v.have, set(v.t, v.codec, false, cred))
}

func order(list []credentials.Candidate) (ids []string) {
	for _, c := range list {
		ids = append(ids, c.ID())
	}
	return ids
}

func nobody(string) (string, bool) { return "", false }

func TestCandidatesAreOrdered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := visitor{t: t, codec: newCodec(nil)}
		for session := range 4 {
			v.visit(session)
			time.Sleep(time.Second)
		}
		v.visit(1) // once more
		p := &read(v.codec, request(v.have...), false).presented
		require.Len(t, p.Sessions, 5)
		list := p.Candidates(nobody)
		require.Equal(t, []string{id(1), id(3), id(2), id(0)}, order(list), "the cookie that was set last comes first")
		require.Len(t, list[0], 2, "cookies of one session are one candidate")

		owners := map[string]string{id(3): someClient, id(0): clientID}
		clientOf := func(id string) (string, bool) { owner, known := owners[id]; return owner, known }
		require.Equal(t, []string{id(1), id(2), id(0), id(3)}, order(p.Candidates(clientOf)),
			"another client's session comes last")
	})
}

// Until the session is opened the client of a presented session counts, or the newest cookie's.
func TestLikelyClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		codec := newCodec(nil)
		older := set(t, codec, false, credentials.Session{ID: id(1), Token: credentials.NewToken()})
		time.Sleep(time.Second)
		x := read(codec, get(), false)
		x.answer.AdoptClient(someClient)
		newer := make(jar)
		newer.take(t, x.write(t, get()))

		_, ok := x.presented.LikelyClient(nobody)
		require.False(t, ok)
		one := &read(codec, request(older), false).presented
		cookie, ok := one.LikelyClient(nil)
		require.True(t, ok)
		require.Equal(t, clientID, cookie.ID)
		two := &read(codec, request(older, newer), false).presented
		cookie, _ = two.LikelyClient(nobody)
		require.Equal(t, someClient, cookie.ID)
		cookie, _ = two.LikelyClient(func(session string) (string, bool) { return clientID, session == id(1) })
		require.Equal(t, clientID, cookie.ID)
	})
}

func TestCandidatesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := visitor{t: t, codec: newCodec(nil)}
		for session := range 40 {
			v.visit(session)
			time.Sleep(time.Second)
		}
		p := &read(v.codec, request(v.have...), false).presented
		require.Len(t, p.Candidates(nobody), 16)
		clientOf := func(session string) (string, bool) { return clientID, session == id(0) }
		list := order(p.Candidates(clientOf))
		require.Len(t, list, 16)
		require.Contains(t, list, id(0), "a session that is known to be the client's own is never left out")
		require.Equal(t, id(39), list[0])
	})
}

func TestTiesAreResolvedByTheRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := visitor{t: t, codec: newCodec(nil)}
		v.visit(9)
		time.Sleep(time.Minute)
		for session := range 4 { // in the same second
			v.visit(session)
		}
		p := &read(v.codec, request(v.have...), false).presented
		now := time.Now()
		recs := map[string]store.Record{
			id(0): {Created: now.Add(-time.Hour)},
			id(1): {Created: now.Add(-2 * time.Hour), RotatedAt: now},
			id(2): {Created: now.Add(-time.Hour), UserID: "ada"},
		}
		var loaded []string
		list, err := p.CandidatesInOrder(nobody, func(id string) (*store.Record, error) {
			loaded = append(loaded, id)
			rec := recs[id]
			return &rec, nil
		})
		require.NoError(t, err)
		require.Equal(t, []string{id(1), id(2), id(0), id(3), id(9)}, order(list),
			"the newest token, then a user's, then one that is missing")
		require.NotContains(t, loaded, id(9), "a record is loaded only where the cookies don't tell")

		down := errors.New("down")
		_, err = p.CandidatesInOrder(nobody, func(string) (*store.Record, error) { return nil, down })
		require.ErrorIs(t, err, down)
	})
}
