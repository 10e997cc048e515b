package sealed_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/testkit/testhub"
	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/sealed"
	"github.com/sessionbridge/sessionbridge/store/storetest"
)

func TestContractAroundNodes(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return seal(t, testhub.New(), nil, 2, 1) })
}

// process is a node with the changes that it is notified of.
type process struct {
	store.Node
	changes chan store.Change
}

func join(t *testing.T, inner store.Store, opts *sealed.Options, keys ...byte) process {
	t.Helper()
	p := process{changes: make(chan store.Change, 100)}
	p.Node = capability[store.Watcher](t, seal(t, inner, opts, keys...)).Watch(func(ch store.Change) {
		if ch.Kind != store.ChangeStored { // a hint, which may be late
			p.changes <- ch
		}
	})
	t.Cleanup(func() { require.NoError(t, p.Leave(context.WithoutCancel(t.Context()))) })
	return p
}

func (p process) next(t *testing.T) store.Change {
	t.Helper()
	select {
	case ch := <-p.changes:
		return ch
	case <-time.After(20 * time.Second):
		require.FailNow(t, "no change is reported")
		return store.Change{}
	}
}

// TestNodesWithDifferentFirstKeysUnderstandOneAnother: while a key is being replaced.
func TestNodesWithDifferentFirstKeysUnderstandOneAnother(t *testing.T) {
	hub := testhub.New()
	a, b := join(t, hub, quiet(), 1, 2), join(t, hub, quiet(), 2, 1)
	require.NoError(t, a.Hold(t.Context(), "s", "c"))
	require.NoError(t, b.Hold(t.Context(), "s", "c"))
	for _, pair := range [][2]process{{a, b}, {b, a}} {
		require.NoError(t, pair[0].Announce(t.Context(), "c", "s"))
		require.Equal(t, store.Change{Kind: store.ChangeClient, ID: "s", ClientID: "c"}, pair[1].next(t))
		to, err := pair[0].Holders(t.Context(), nil, []string{"c"})
		require.NoError(t, err)
		require.Len(t, to, 1)
		require.NoError(t, pair[0].Send(t.Context(), to, []byte("hello")))
		ch := pair[1].next(t)
		require.Equal(t, store.ChangeMessage, ch.Kind)
		require.Equal(t, "hello", string(ch.Data))
	}
	unlock, err := capability[store.UserLocker](t, a.Node).LockUser(t.Context(), "secret-user")
	require.NoError(t, err)
	_, err = b.Set(t.Context(), newRecord())
	require.ErrorIs(t, err, store.ErrBusy, "a lock is for the user's names of every key")
	require.NoError(t, unlock(t.Context()))
	rec := create(t, b)
	require.Equal(t, rec, get(t, a, rec.ID))
	require.Equal(t, []string{rec.ID}, byUser(t, seal(t, hub, quiet(), 1, 2), "secret-user"))
}

func TestReleasedClientsAreForgotten(t *testing.T) {
	hub := testhub.New()
	a, b := join(t, hub, quiet(), 1), join(t, hub, quiet(), 1)
	require.NoError(t, b.Hold(t.Context(), "s", "c"))
	require.NoError(t, b.Hold(t.Context(), "s", ""))
	require.NoError(t, b.Release(t.Context(), "s", "c"))
	require.NoError(t, a.Announce(t.Context(), "c", "s"))
	require.NoError(t, b.Hold(t.Context(), "", "d"))
	require.NoError(t, a.Announce(t.Context(), "d", "s"))
	require.Equal(t, "d", b.next(t).ClientID)
	require.NoError(t, b.Release(t.Context(), "s", ""))
}

// TestS17_MessagesAreSealed: what one process sends to another can't be read or forged by somebody
// with access to the store.
func TestS17_MessagesAreSealed(t *testing.T) {
	hub := testhub.New()
	raw := make(chan store.Change, 1)
	spy := hub.Watch(func(ch store.Change) { raw <- ch })
	defer func() { require.NoError(t, spy.Leave(context.WithoutCancel(t.Context()))) }()
	a := join(t, hub, quiet(), 1)
	nodes, err := a.Nodes(t.Context())
	require.NoError(t, err)
	require.Len(t, nodes, 1)
	require.NoError(t, a.Send(t.Context(), nodes, []byte("secret message")))
	got := <-raw
	require.NotContains(t, string(got.Data), "secret")

	other := join(t, hub, quiet(), 9)
	plain := join(t, hub, &sealed.Options{ReadPlain: true}, 1)
	nodes, err = spy.Nodes(t.Context())
	require.NoError(t, err)
	require.Len(t, nodes, 3)
	require.NoError(t, spy.Send(t.Context(), nodes, []byte("forged")))
	require.NoError(t, a.Hold(t.Context(), "marker", ""))
	require.NoError(t, other.Hold(t.Context(), "marker", ""))
	require.NoError(t, plain.Announce(t.Context(), "nobody", "s"))
	require.Equal(t, "forged", string(plain.next(t).Data), "with ReadPlain, of processes that don't seal yet")
	require.NoError(t, plain.Send(t.Context(), nodes, []byte("genuine")))
	require.Equal(t, "genuine", string(a.next(t).Data))
	_, err = spy.End(t.Context(), "marker", "x", 0)
	require.NoError(t, err)
	require.Empty(t, other.changes, "it has another key")
}

func TestMessagesThatCantBeOpened(t *testing.T) {
	inner := newBare()
	st := seal(t, inner, quiet(), 1)
	envelope, err := st.SealMessage([]byte("hello"))
	require.NoError(t, err)
	data, err := st.OpenMessage(envelope)
	require.NoError(t, err)
	require.Equal(t, "hello", string(data))
	for i := range envelope {
		envelope[i] ^= 4
		_, err := st.OpenMessage(envelope)
		require.ErrorIs(t, err, sealed.ErrUnopenable)
		envelope[i] ^= 4
		_, err = st.OpenMessage(envelope[:i])
		require.ErrorIs(t, err, sealed.ErrUnopenable)
	}
	shop := quiet()
	shop.App = "shop"
	_, err = seal(t, inner, shop, 1).OpenMessage(envelope)
	require.ErrorIs(t, err, sealed.ErrUnopenable, "of another App")
	rec := create(t, st)
	_, err = st.OpenMessage(get(t, inner, rec.ID).Data)
	require.ErrorIs(t, err, sealed.ErrUnopenable, "a record is no message")
}
