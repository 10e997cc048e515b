package registry_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/store"
)

func TestLoginShutsOutWhatHasProvedAnOlderToken(t *testing.T) {
	f := newFixture(t, registry.Config[*conn]{})
	old, current, other, bare := f.add("s", 1), f.add("s", 2), f.add("other", 5), f.add("", 0)
	elsewhere := f.make("s", 1)
	elsewhere.entry.ClientID = "another client"
	_, err := f.Add(elsewhere)
	require.NoError(t, err)
	require.ElementsMatch(t, []*conn{old, other, bare, elsewhere}, f.PartOlder(&store.Record{ID: "s", ClientID: "c", LoginGeneration: 2}))
	for _, c := range []*conn{old, other, bare, elsewhere} {
		require.Empty(t, f.sessionOf(c))
		require.Equal(t, reconnect, f.CloseOf(&c.entry))
	}
	require.Equal(t, "s", f.sessionOf(current))
	require.Zero(t, f.CloseOf(&current.entry))
}

func TestLoginElsewhereIsLearntFromARecordOnce(t *testing.T) {
	f := newFixture(t, registry.Config[*conn]{})
	old, follower := f.add("s", 1), f.add("s", 0)
	rec := &store.Record{ID: "s", ClientID: "c", UserID: "ann", Revision: 3, LoginGeneration: 2}
	require.Equal(t, []*conn{old}, f.Learn(rec), "a connection that has proved nothing follows")
	require.Equal(t, "s", f.sessionOf(old), "the caller parts it")
	require.Empty(t, f.Learn(rec))
	require.Equal(t, "s", f.sessionOf(follower))

	require.Empty(t, f.Learn(&store.Record{ID: "s", ClientID: "c", UserID: "guest", Revision: 2}))
	require.Equal(t, "ann", f.UserOf("s"), "an older record changes nothing")
	require.EqualValues(t, 3, f.RevisionOf("s"))
	require.Empty(t, f.Learn(&store.Record{ID: "unknown", LoginGeneration: 9}))
}

// A stranger with a copy of the client's cookie can create sessions of that client.
func TestStrangerCantCutAClientsConnectionsAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, registry.Config[*conn]{})
		cut := func() bool {
			c := f.add("owner's", 1)
			defer f.Remove(c)
			return len(f.PartOlder(&store.Record{ID: "stranger's", ClientID: "c"})) == 1
		}
		require.Equal(t, []bool{true, true, false, false}, []bool{cut(), cut(), cut(), cut()})
		time.Sleep(11 * time.Minute)
		require.Equal(t, []bool{true, false}, []bool{cut(), cut()})

		bare := 0
		for i := range 100 {
			c := f.add("", 0)
			bare += len(f.PartOlder(&store.Record{ID: fmt.Sprint("stranger's ", i), ClientID: "c"}))
			f.Remove(c)
		}
		require.Equal(t, 20, bare, "those without a session have an allowance of their own")

		last := &store.Record{ID: "the last", ClientID: "c"}
		require.False(t, f.MayAwait(last))
		time.Sleep(time.Minute)
		for range 100 {
			require.True(t, f.MayAwait(last), "all that await one session's cookies count once")
		}
		require.False(t, f.MayAwait(&store.Record{ID: "another", ClientID: "c"}))

		c := f.add("owner's", 1)
		require.False(t, f.PartOutsider(c))
		time.Sleep(time.Hour)
		require.True(t, f.PartOutsider(c))
		require.Empty(t, f.sessionOf(c))
	})
}

// The allowance is used once for a login, however many connections the client has.
func TestLoginSendsAllOfAClientsOtherConnectionsBackAtOnce(t *testing.T) {
	f := newFixture(t, registry.Config[*conn]{})
	for range 2 { // as often as the allowance permits in a row
		var others []*conn
		for range 30 {
			others = append(others, f.add("other", 1), f.add("", 0))
		}
		require.ElementsMatch(t, others, f.PartOlder(&store.Record{ID: "s", ClientID: "c"}))
		for _, c := range others {
			f.Remove(c)
		}
	}
}
