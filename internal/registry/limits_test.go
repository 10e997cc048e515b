package registry_test

import (
	"strconv"
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
	require.Len(t, f.Rivals("s", &registry.Entry{Addr: "192.0.2.1"}), 5, "two of the session, three from the address")

	second.ended.Store(true) // its handler hasn't returned
	require.False(t, f.AddrFull("192.0.2.1"))
	require.Len(t, f.Rivals("s", &registry.Entry{Addr: "192.0.2.1"}), 3)
	require.NotContains(t, f.Rivals("s", &registry.Entry{Addr: "192.0.2.1"}), second)
	f.add("s", 0)
	require.Equal(t, 4, f.Count())
}

// A connection without an address counts in its session only.
func TestConnectionWithoutAnAddressCountsAtNone(t *testing.T) {
	for _, evict := range []bool{false, true} {
		f := newFixture(t, registry.Config[*conn]{Limits: registry.Limits{PerSession: 1, PerAddr: 1, Evict: evict}})
		for i := range 3 {
			c := f.make(strconv.Itoa(i), 0)
			c.entry.Addr, c.entry.NoAddr = "", true
			evicted, err := f.Add(c)
			require.NoError(t, err)
			require.Empty(t, evicted)
		}
		f.add("addressed", 0)
		require.Equal(t, !evict, f.AddrFull("192.0.2.1"))
	}
}

// An evicted connection loses its session just before it is closed. If its handler notices first,
// the close is the same.
func TestOldestMakesRoomAndSaysSo(t *testing.T) {
	f := newFixture(t, registry.Config[*conn]{Limits: registry.Limits{PerSession: 1, PerAddr: 2, Evict: true}})
	first := f.add("s", 0)
	second := f.make("s", 0)
	evicted, err := f.Add(second)
	require.NoError(t, err)
	require.Equal(t, []*conn{first}, evicted)
	require.Equal(t, replaced, f.CloseOf(&first.entry))
	require.Empty(t, f.sessionOf(first))
	require.False(t, f.AddrFull("192.0.2.1"), "none is refused")

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

// The ID of a connection is free when its end has been reported, not before.
func TestFreedTellsWhenAnIDIsFree(t *testing.T) {
	f := newFixture(t, registry.Config[*conn]{})
	c := f.add("s", 0)
	id := c.entry.ID
	require.Equal(t, []*conn{c}, f.Rivals("", &registry.Entry{ID: id}))
	freed := f.Freed(id)
	next := f.make("s", 0)
	next.entry.ID = id
	for _, step := range []func(){func() { f.Free(c) }, func() { f.Remove(c) }} {
		step() // before Remove, Free does nothing
		require.Equal(t, freed, f.Freed(id))
		select {
		case <-freed:
			t.Fatal("the ID is still taken")
		default:
		}
		_, err := f.Add(next)
		require.ErrorIs(t, err, registry.ErrIDInUse)
	}
	require.Nil(t, f.Get(id))
	require.Zero(t, f.Count())
	f.Free(c)
	<-freed
	<-f.Freed(id)
	_, err := f.Add(next)
	require.NoError(t, err)
	f.Free(c)
	require.Equal(t, next, f.Get(id), "it has the ID now")
}
