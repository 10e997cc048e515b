package sealed_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/testkit/testhub"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestS17_AKeptMessageIsBoundToItsReceiver: in the log of another user or session it doesn't open.
func TestS17_AKeptMessageIsBoundToItsReceiver(t *testing.T) {
	limits := store.KeepLimits{For: time.Hour, Messages: 10, Bytes: 1 << 10}
	inner := testhub.New()
	st := seal(t, inner, quiet(), 1)
	one, other := create(t, st), create(t, st)
	keeper := capability[store.Keeper](t, st)
	_, ada := st.Names("", "ada")
	_, bob := st.Names("", "bob")
	for _, c := range []struct{ to, stored, wrong, wrongStored store.KeptFor }{
		{
			store.KeptFor{UserID: "ada"},
			store.KeptFor{UserID: ada},
			store.KeptFor{UserID: "bob"},
			store.KeptFor{UserID: bob},
		},
		{
			store.KeptFor{SessionID: one.ID},
			store.KeptFor{SessionID: one.ID},
			store.KeptFor{SessionID: other.ID},
			store.KeptFor{SessionID: other.ID},
		},
	} {
		m := store.KeptMessage{Data: []byte("for one only")}
		require.NoError(t, keeper.Keep(t.Context(), c.to, m, limits))
		kept, err := inner.Kept(t.Context(), c.stored, 0)
		require.NoError(t, err)
		require.Len(t, kept.Messages, 1)
		require.NoError(t, inner.Keep(t.Context(), c.wrongStored, store.KeptMessage{Data: kept.Messages[0].Data}, limits))

		kept, err = keeper.Kept(t.Context(), c.to, 0)
		require.NoError(t, err)
		require.Len(t, kept.Messages, 1)
		require.Equal(t, m.Data, kept.Messages[0].Data)
		kept, err = keeper.Kept(t.Context(), c.wrong, 0)
		require.NoError(t, err)
		require.Empty(t, kept.Messages)
	}
}
