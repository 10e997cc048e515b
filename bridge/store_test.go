package bridge_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/endtoend"
	"github.com/sessionbridge/sessionbridge/store"
)

// ownStore is the least that an application can bring along: three methods.
type ownStore struct {
	mu      sync.Mutex
	records map[string]store.Record
}

func (o *ownStore) Get(_ context.Context, id string) (store.Record, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	rec, ok := o.records[id]
	if !ok {
		return rec, store.ErrNotFound
	}
	return rec.Clone(), nil
}

func (o *ownStore) Set(_ context.Context, rec store.Record) (uint64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	was, ok := o.records[rec.ID]
	switch {
	case !ok && rec.Revision != 0:
		return 0, store.ErrNotFound
	case was.Revision != rec.Revision:
		return 0, store.ErrConflict
	}
	store.KeepSeen(&was, &rec)
	rec.Revision++
	o.records[rec.ID] = rec.Clone()
	return rec.Revision, nil
}

func (o *ownStore) Destroy(_ context.Context, id string) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, ok := o.records[id]
	delete(o.records, id)
	return ok, nil
}

// TestOwnStore: three methods carry a whole life, a restart in the middle of it included; what
// needs more says so.
func TestOwnStore(t *testing.T) {
	st := &ownStore{records: map[string]store.Record{}}
	keys := [][]byte{endtoend.NewKey()}
	a := endtoend.Start(t, st, &bridge.Options{Keys: keys})
	ada := endtoend.NewBrowser(t, a)
	require.Equal(t, "1", ada.Get("/increment"))
	tab := ada.Dial()
	require.Equal(t, "2", tab.Ask("increment"))
	ada.Get("/login?user=ada")
	require.Equal(t, bridge.CodeReconnect, tab.Closed())
	a.Stop()

	a = endtoend.Start(t, st, &bridge.Options{Keys: keys})
	ada = ada.At(a)
	require.Equal(t, "3", ada.Get("/increment"))
	tab = ada.Dial()
	require.Equal(t, "ada", tab.Ask("user"))
	id := ada.Get("/id")
	require.NoError(t, a.Bridge.SetByID(t.Context(), id, map[string]any{"count": 10}, 0))
	require.Equal(t, "11", tab.Ask("increment"))

	_, err := a.Bridge.Cleanup(t.Context())
	require.ErrorIs(t, err, bridge.ErrUnsupported)
	require.False(t, errors.Is(err, bridge.ErrStoreUnavailable), "it is no failure of the store")

	ada.Get("/logout")
	require.Equal(t, bridge.CodeDestroyed, tab.Closed())
	require.Empty(t, st.records)
	require.Equal(t, "1", ada.Get("/increment"))
	require.Len(t, st.records, 1)
}
