package clientmap_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/clientmap"
)

func newMap() *clientmap.Map {
	return clientmap.New(0, func(string) bool { return false })
}

// sessionOf and clientOf return "" for what isn't in the map.
func sessionOf(m *clientmap.Map, clientID string) string { id, _ := m.SessionOf(clientID); return id }

func clientOf(m *clientmap.Map, sessionID string) string { id, _ := m.ClientOf(sessionID); return id }

func TestAttach(t *testing.T) {
	m := newMap()
	require.True(t, m.Attach("c", "old", false))
	require.Equal(t, "old", sessionOf(m, "c"), "the only one is the newest")
	require.True(t, m.Attach("c", "new", true))
	require.False(t, m.Attach("c", "new", true))
	require.False(t, m.Attach("c", "old", false), "in the map already")
	require.Equal(t, "new", sessionOf(m, "c"), "an older session doesn't take the place of the newest")
	require.Equal(t, "c", clientOf(m, "old"))
	require.Equal(t, "c", clientOf(m, "new"))
	require.Equal(t, 2, m.Len())
	require.ElementsMatch(t, []string{"old", "new"}, m.Sessions())
}

func TestAttachToAnotherClient(t *testing.T) {
	m := newMap()
	m.Attach("c", "s", true)
	require.False(t, m.Attach("d", "s", true))
	require.Equal(t, "d", clientOf(m, "s"))
	require.Equal(t, "s", sessionOf(m, "d"))
	require.Empty(t, sessionOf(m, "c"))
	require.Equal(t, 1, m.Len())
}

func TestDetach(t *testing.T) {
	m := newMap()
	m.Attach("c", "old", true)
	m.Attach("c", "new", true)
	require.Equal(t, "c", m.Detach("old"))
	require.Empty(t, m.Detach("old"))
	require.False(t, m.Attached("old"))
	require.Equal(t, "new", sessionOf(m, "c"))
	require.Equal(t, "c", m.Detach("new"))
	require.Empty(t, sessionOf(m, "c"))
	require.Zero(t, m.Len())
}

func TestRefresh(t *testing.T) {
	m := newMap()
	require.False(t, m.Refresh("c", "s"), "not in the map")
	require.False(t, m.Attached("s"))
	m.Attach("c", "s", true)
	m.Attach("c", "newer", true)
	require.True(t, m.Refresh("c", "s"))
	require.Equal(t, "newer", sessionOf(m, "c"))
	m.Detach("newer")
	require.True(t, m.Refresh("c", "s"))
	require.Equal(t, "s", sessionOf(m, "c"), "the client had none any more")
	require.True(t, m.Refresh("d", "s"))
	require.Empty(t, sessionOf(m, "d"), "it is not that client's session")
}

func TestReads(t *testing.T) {
	m := newMap()
	m.CountRead("s", time.Time{})
	require.Zero(t, m.Reads("s"))
	m.Attach("c", "s", true)
	require.Zero(t, m.Reads("s"))
	m.CountRead("s", time.Time{})
	m.Refresh("c", "s")
	require.EqualValues(t, 2, m.Reads("s"))
	require.EqualValues(t, 2, m.ReadsOfClient("c"))
	require.Zero(t, m.ReadsOfClient("d"))
	m.Detach("s")
	m.Attach("c", "s", true)
	require.Zero(t, m.Reads("s"), "counted anew")
}

func TestActiveSince(t *testing.T) {
	m := newMap()
	since := func(at time.Time) map[string]time.Time {
		active := map[string]time.Time{}
		m.ActiveSince(at, func(id string, at time.Time) { active[id] = at })
		return active
	}
	at := time.UnixMilli(1_000_000)
	m.Active("s", at)
	m.Attach("c", "s", true)
	m.Attach("d", "quiet", true)
	require.Empty(t, since(time.Time{}), "not in the map then; and being added is no activity")
	m.Active("s", at)
	m.Active("s", at.Add(-time.Second))
	require.Equal(t, map[string]time.Time{"s": at}, since(at), "the latest counts")
	require.Empty(t, since(at.Add(time.Millisecond)))
	m.CountRead("quiet", time.Time{})
	require.NotContains(t, since(at), "quiet")
	m.CountRead("quiet", time.Now())
	require.Contains(t, since(at), "quiet")
	m.Refresh("c", "s")
	require.WithinDuration(t, time.Now(), since(at)["s"], time.Minute)
}

func TestLogins(t *testing.T) {
	m := newMap()
	set := func(user string, generation uint64) (prev string, changed bool) {
		return m.SetLogin("s", user, generation)
	}
	_, changed := set("alice", 1)
	require.False(t, changed, "not in the map")
	m.Attach("c", "s", true)
	require.Empty(t, m.UserOf("s"))
	require.False(t, m.LoginIsNew("s", 0))
	require.True(t, m.LoginIsNew("s", 1))
	for _, step := range []struct {
		user       string
		generation uint64
		prev       string
		changed    bool
		now        string
	}{
		{"", 0, "", false, ""}, // no login at all
		{"alice", 1, "", true, "alice"},
		{"alice", 1, "", false, "alice"}, // known
		{"bob", 3, "alice", true, "bob"},
		{"carol", 2, "", false, "bob"}, // an older record
	} {
		prev, changed := set(step.user, step.generation)
		require.Equal(t, step.prev, prev, step)
		require.Equal(t, step.changed, changed, step)
		require.Equal(t, step.now, m.UserOf("s"), step)
	}
	m.WhileAttached("s", func(client, user string) {
		require.Equal(t, "c", client)
		require.Equal(t, "bob", user)
	})
	m.WhileAttached("t", func(string, string) { t.Error("called") })
}

func TestDue(t *testing.T) {
	m := newMap()
	now := time.Unix(1000, 0)
	m.SetDue("none", now)
	for _, id := range []string{"past", "future", "never", "again"} {
		m.Attach("of "+id, id, true)
	}
	m.SetDue("past", now.Add(-time.Second))
	m.SetDue("future", now)
	m.SetDue("again", now.Add(-time.Hour))
	m.SetDue("again", time.Time{})
	require.Equal(t, []string{"past"}, m.Due(now))
	require.ElementsMatch(t, []string{"past", "future"}, m.Due(now.Add(time.Second)))
}

func BenchmarkSessionOf(b *testing.B) {
	m := newMap()
	m.Attach("c", "s", true)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Refresh("c", "s")
			m.SessionOf("c")
		}
	})
}
