package registry_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/store"
)

// A login of the same user shuts out those that have proved an older token, also if nothing else is
// new about the session.
func TestALoginOfTheSameUserIsLearned(t *testing.T) {
	f := newFixture(t, registry.Config[*conn]{})
	older, newer := f.add("s", 1), f.add("s", 2)
	require.Empty(t, f.Learn(&store.Record{ID: "s", Revision: 1, UserID: "ann"}))
	require.Equal(t, []*conn{older}, f.Learn(&store.Record{ID: "s", Revision: 2, UserID: "ann", LoginGeneration: 2}))
	require.Empty(t, f.Learn(&store.Record{ID: "s", Revision: 3, UserID: "ann", LoginGeneration: 2}))
	require.Equal(t, "s", f.sessionOf(newer))
}

// A record that is older than what is known says nothing of the user, whether the newer one has
// changed anything or not.
func TestAnOlderRecordSaysNothingOfTheUser(t *testing.T) {
	f := newFixture(t, registry.Config[*conn]{})
	f.add("s", 1)
	f.Learn(&store.Record{ID: "s", Revision: 5, UserID: "ann"})
	f.Learn(&store.Record{ID: "s", Revision: 7, UserID: "ann"}) // nothing has changed but the revision
	f.Learn(&store.Record{ID: "s", Revision: 6, UserID: "bob"})
	require.Equal(t, "ann", f.UserOf("s"))
	require.EqualValues(t, 7, f.RevisionOf("s"))
	f.Learn(&store.Record{ID: "s", Revision: 8, UserID: "bob"})
	require.Equal(t, "bob", f.UserOf("s"))
}

// An end that has come closer is looked at in time, before and after the first look.
func TestAnEarlierEndIsLookedAtInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, registry.Config[*conn]{})
		f.add("s", 1)
		for range 2 {
			begin := time.Now()
			f.Learn(&store.Record{ID: "s", Revision: 1, Expires: begin.Add(3 * time.Hour)})
			f.Learn(&store.Record{ID: "s", Revision: 2, Expires: begin.Add(time.Hour)})
			time.Sleep(time.Hour - time.Second)
			synctest.Wait()
			require.Empty(t, f.looks())
			time.Sleep(time.Second)
			synctest.Wait()
			require.Equal(t, []string{"s"}, f.looks())
		}
	})
}
