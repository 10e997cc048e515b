package guarantees_test

import (
	"context"
	"iter"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// panickingLists is a store whose listings panic while it is broken.
type panickingLists struct {
	*livestore.Store
	broken atomic.Bool
}

func (p *panickingLists) ByUser(ctx context.Context, user string) iter.Seq2[store.Record, error] {
	return p.unlessBroken(p.Store.ByUser(ctx, user))
}

func (p *panickingLists) List(ctx context.Context) iter.Seq2[store.Record, error] {
	return p.unlessBroken(p.Store.List(ctx))
}

func (p *panickingLists) unlessBroken(all iter.Seq2[store.Record, error]) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		if p.broken.Load() {
			panic(testkit.Panics{})
		}
		all(yield)
	}
}

// A bulk destroy that was left behind would end every session that a user logs in to, for as long
// as the process lives.
func TestG12_NobodyCanStallIt_AStoreThatPanicsLeavesNoEndingBehind(t *testing.T) {
	st := &panickingLists{Store: livestore.New()}
	a := testkit.NewApp(t, st, nil)
	h := a.Handler(a.Mux)
	p := webclient.Pocket{}
	p.Get(t, h, "/login?user=ada")
	st.broken.Store(true)
	require.Panics(t, func() { _, _ = a.DestroyUser(t.Context(), "ada") })
	require.Panics(t, func() { _, _ = a.DestroyAll(t.Context()) })
	st.broken.Store(false)
	w := p.Get(t, h, "/login?user=ada")
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	n, err := a.DestroyUser(t.Context(), "ada")
	require.NoError(t, err)
	require.Equal(t, 1, n)
}
