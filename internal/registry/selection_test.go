package registry_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/store"
)

// open adds a connection of the client, the session and its user.
func (f *fixture) open(id, clientID, sessionID, userID, addr string) *conn {
	f.t.Helper()
	f.opened++
	c := &conn{entry: registry.Entry{ID: id, Name: "n" + id, ClientID: clientID, Addr: addr, OpenedAt: f.opened}}
	c.entry.Attach(sessionID, userID, 0, 0)
	_, err := f.Add(c)
	require.NoError(f.t, err)
	if userID != "" {
		f.Learn(&store.Record{ID: sessionID, UserID: userID, Revision: 1})
	}
	return c
}

func TestASelectionHasExactlyOneReceiver(t *testing.T) {
	for _, valid := range []registry.Selection{
		{SessionID: "s"}, {ClientID: "c", Except: "1"}, {UserID: "u"}, {All: true, Except: "1"}, {Conns: []string{"1", "1"}},
	} {
		require.NoError(t, valid.Check(), valid)
	}
	for _, c := range []struct {
		registry.Selection
		says string
	}{
		{registry.Selection{}, "has no receiver"},
		{registry.Selection{Except: "1"}, "has no receiver"},
		{registry.Selection{Conns: []string{}}, "has no receiver"},
		{registry.Selection{SessionID: "s", All: true}, "SessionID and All are set"},
		{registry.Selection{ClientID: "c", UserID: "u", Conns: []string{"1"}}, "ClientID and UserID and Conns are set"},
		{registry.Selection{Conns: []string{"1"}, Except: "2"}, "Except is set with Conns"},
		{registry.Selection{Conns: []string{"1", ""}}, "Conns[1] is empty"},
	} {
		require.ErrorContains(t, c.Check(), c.says)
	}
}

func TestSelectReturnsWhatIsSelected(t *testing.T) {
	f := newFixture(t, registry.Config[*conn]{})
	one := f.open("1", "c", "s", "u", "192.0.2.1")
	two := f.open("2", "c", "s2", "u", "192.0.2.2")
	three := f.open("3", "d", "", "", "192.0.2.1")
	for _, c := range []struct {
		registry.Selection
		selected []*conn
	}{
		{registry.Selection{All: true}, []*conn{one, two, three}},
		{registry.Selection{All: true, Except: "2"}, []*conn{one, three}},
		{registry.Selection{SessionID: "s"}, []*conn{one}},
		{registry.Selection{SessionID: "s", Except: "1"}, nil},
		{registry.Selection{ClientID: "c", Except: "none"}, []*conn{one, two}},
		{registry.Selection{UserID: "u", Except: "1"}, []*conn{two}},
		{registry.Selection{Conns: []string{"3", "none", "1", "3"}}, []*conn{one, three}},
		{registry.Selection{SessionID: "none"}, nil},
	} {
		require.ElementsMatch(t, c.selected, f.Select(&c.Selection), fmt.Sprint(c.Selection))
	}
}

func TestElsewhereLeavesOutWhatIsOnlyHere(t *testing.T) {
	f := newFixture(t, registry.Config[*conn]{})
	f.open("1", "c", "s", "", "192.0.2.1")
	given := registry.Selection{Conns: []string{"1", "2"}}
	rest, anywhere := f.Elsewhere(given)
	require.Equal(t, registry.Selection{Conns: []string{"2"}}, rest)
	require.True(t, anywhere)
	require.Equal(t, []string{"1", "2"}, given.Conns, "the caller's list is unchanged")
	_, anywhere = f.Elsewhere(registry.Selection{Conns: []string{"1"}})
	require.False(t, anywhere)
	rest, anywhere = f.Elsewhere(registry.Selection{All: true, Except: "1"})
	require.Equal(t, registry.Selection{All: true}, rest)
	require.True(t, anywhere)
	rest, _ = f.Elsewhere(registry.Selection{SessionID: "s", Except: "2"})
	require.Equal(t, registry.Selection{SessionID: "s", Except: "2"}, rest)
}

func TestAFilterFindsAllThatMatchAndMatchesNoOthers(t *testing.T) {
	for _, perAddr := range []int{0, 9} { // without a limit the registry doesn't keep connections by address
		f := newFixture(t, registry.Config[*conn]{Limits: registry.Limits{PerAddr: perAddr}})
		one := f.open("1", "c", "s", "u", "192.0.2.1")
		two := f.open("2", "c", "s2", "u", "192.0.2.2")
		three := f.open("3", "d", "", "", "192.0.2.1")
		for _, c := range []struct {
			registry.Filter
			matching []*conn
		}{
			{registry.Filter{}, []*conn{one, two, three}},
			{registry.Filter{ID: "2"}, []*conn{two}},
			{registry.Filter{ID: "none"}, nil},
			{registry.Filter{ID: "2", Name: "n1"}, nil},
			{registry.Filter{Name: "n3"}, []*conn{three}},
			{registry.Filter{SessionID: "s"}, []*conn{one}},
			{registry.Filter{ClientID: "c"}, []*conn{one, two}},
			{registry.Filter{UserID: "u", ClientID: "d"}, nil},
			{registry.Filter{Addr: "192.0.2.1"}, []*conn{one, three}},
			{registry.Filter{Addr: "192.0.2.1", ClientID: "d"}, []*conn{three}},
			{registry.Filter{Addr: "192.0.2.0/24"}, []*conn{one, two, three}},
			{registry.Filter{OpenFor: time.Minute, QuietFor: time.Second}, []*conn{one, two, three}},
			{registry.Filter{OpenFor: time.Minute + 1}, nil},
			{registry.Filter{QuietFor: time.Second + 1}, nil},
		} {
			require.NoError(t, c.Check())
			var matching []*conn
			for _, found := range f.Find(&c.Filter) {
				sessionID, userID, open := f.State(found)
				require.True(t, open)
				if c.Matches(&found.entry, sessionID, userID, "192.0.2.0/24", time.Minute, time.Second) {
					matching = append(matching, found)
				}
			}
			require.ElementsMatch(t, c.matching, matching, fmt.Sprint(c.Filter))
		}
	}
}

func TestAFilterRejectsNegativeDurations(t *testing.T) {
	require.ErrorContains(t, (&registry.Filter{OpenFor: -1}).Check(), "ConnFilter.OpenFor")
	require.ErrorContains(t, (&registry.Filter{QuietFor: -1}).Check(), "ConnFilter.QuietFor")
}

// A handshake is answered as soon as its connection is registered, before the session is looked at
// again: a message for its user must not pass it by.
func TestConnectionIsItsUsersBeforeItsSessionIsLookedAtAgain(t *testing.T) {
	f := newFixture(t, registry.Config[*conn]{})
	c := f.make("s", 1)
	c.entry.Attach("s", "ann", 1, 0)
	_, err := f.Add(c)
	require.NoError(t, err)
	require.Equal(t, []*conn{c}, f.Select(&registry.Selection{UserID: "ann"}))
	require.Equal(t, "ann", f.UserOf("s"))
	_, userID, _ := f.State(c)
	require.Equal(t, "ann", userID)

	f.Learn(&store.Record{ID: "s", Revision: 1})
	require.Empty(t, f.OfUser("ann"), "what is stored counts")
	second := f.make("s", 1)
	second.entry.Attach("s", "ann", 1, 0)
	_, err = f.Add(second)
	require.NoError(t, err)
	require.Empty(t, f.OfUser("ann"), "what is known already is newer than a handshake's record")
}
