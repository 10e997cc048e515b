package registry_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/registry"
)

func TestNewestIsRefusedWhereThereAreTooMany(t *testing.T) {
	f := newFixture(t, registry.Config[*conn]{Limits: registry.Limits{PerSession: 2, PerAddr: 3}})
	f.add("s", 0)
	second := f.add("s", 0)
	_, err := f.Add(f.make("s", 0))
	require.ErrorIs(t, err, registry.ErrSessionFull)
	f.add("other", 0)
	_, err = f.Add(f.make("third", 0))
	require.ErrorIs(t, err, registry.ErrAddrFull)
	require.True(t, f.AddrFull("192.0.2.1"))
	require.Len(t, f.Rivals("s", "192.0.2.1"), 5, "two of the session, three from the address")

	second.ended = true // its handler hasn't returned
	require.False(t, f.AddrFull("192.0.2.1"))
	require.Len(t, f.Rivals("s", "192.0.2.1"), 3)
	require.NotContains(t, f.Rivals("s", "192.0.2.1"), second)
	f.add("s", 0)
	require.Equal(t, 4, f.Count())
}

// A connection that has to go loses its session a moment before it is closed. If its handler notices
// first, the client is told the same.
func TestOldestMakesRoomAndSaysSo(t *testing.T) {
	f := newFixture(t, registry.Config[*conn]{Limits: registry.Limits{PerSession: 1, PerAddr: 2, Evict: true}})
	first := f.add("s", 0)
	second := f.make("s", 0)
	evicted, err := f.Add(second)
	require.NoError(t, err)
	require.Equal(t, []*conn{first}, evicted)
	require.Equal(t, replaced, f.CloseOf(&first.entry))
	require.Empty(t, f.sessionOf(first))
	require.False(t, f.AddrFull("192.0.2.1"), "nobody is refused")

	third := f.add("other", 0) // the first counts no more
	fourth := f.make("s", 0)
	evicted, err = f.Add(fourth)
	require.NoError(t, err)
	require.Equal(t, []*conn{second}, evicted, "which makes room in the session and at the address")
	fifth := f.make("", 0)
	evicted, err = f.Add(fifth)
	require.NoError(t, err)
	require.Equal(t, []*conn{third}, evicted)
}

func TestAddressesThatOneSubscriberHasAreOne(t *testing.T) {
	for _, c := range []struct {
		a, b string
		one  bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"2001:db8::1", "2001:db8::ffff:1", true},
		{"2001:db8:0:1::1", "2001:db8:0:2::1", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
		{"@", "@", true},
	} {
		t.Run(c.a+" "+c.b, func(t *testing.T) {
			f := newFixture(t, registry.Config[*conn]{Limits: registry.Limits{PerAddr: 1}})
			a, b := f.make("", 0), f.make("", 0)
			a.entry.Addr, b.entry.Addr = c.a, c.b
			_, err := f.Add(a)
			require.NoError(t, err)
			_, err = f.Add(b)
			if c.one {
				require.ErrorIs(t, err, registry.ErrAddrFull)
			} else {
				require.NoError(t, err)
			}
		})
	}
}
