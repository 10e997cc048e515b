package sealed_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/sealed"
)

// TestNamesAreThoseOfTheFirstKey: also for a record that was opened with another key.
func TestNamesAreThoseOfTheFirstKey(t *testing.T) {
	inner := livestore.New()
	rec := create(t, seal(t, inner, nil, 1))
	rotated := seal(t, inner, nil, 2, 1)
	set(t, rotated, get(t, rotated, rec.ID))
	other := create(t, seal(t, inner, nil, 2))
	requireSameNames(t, get(t, inner, other.ID), get(t, inner, rec.ID))
}

// TestNamesDependOnNothingElse: names that were computed before are those of a Store that has
// computed none, however many there are, and in each app.
func TestNamesDependOnNothingElse(t *testing.T) {
	const many = 8 * sealed.KnownSlots // enough for names that share a slot
	inner := livestore.New()
	st := seal(t, inner, nil, 1)
	spaces := capability[store.Namespacer](t, st)
	apps := []*sealed.Store{st, spaces.App("a").(*sealed.Store), spaces.App("b").(*sealed.Store)}
	for round := range 2 {
		for i := range many {
			app := apps[i%len(apps)]
			user, client := fmt.Sprint("user", i/len(apps)), fmt.Sprint("client", i/len(apps)%2)
			fresh := func(rec *store.Record) { rec.UserID, rec.ClientID = user, client }
			gotClient, gotUser := app.Names(client, user)
			wantClient, wantUser := app.ComputedNames(client, user)
			require.Equal(t, wantClient, gotClient, "round %d", round)
			require.Equal(t, wantUser, gotUser, "round %d", round)
			if i%100 == 0 { // what is stored has them
				rec := create(t, app, fresh)
				stored := get(t, app.Inner(), rec.ID)
				require.Equal(t, []string{wantClient, wantUser}, []string{stored.ClientID, stored.UserID})
			}
		}
	}
}

// requireSameNames fails unless both records of an inner store are of one client and one user.
func requireSameNames(t *testing.T, want, got store.Record) {
	t.Helper()
	require.Equal(t, []string{want.ClientID, want.UserID}, []string{got.ClientID, got.UserID})
}
