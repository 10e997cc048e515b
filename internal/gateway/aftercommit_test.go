package gateway_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A draft can be used after its commit: each method, called first, finds the stored values.
func TestDraftReadsOnAfterItsCommit(t *testing.T) {
	for name, ask := range map[string]func(t *testing.T, g *gateway.Gateway, d *gateway.Draft){
		"Raw": func(t *testing.T, _ *gateway.Gateway, d *gateway.Draft) {
			require.Equal(t, `"new"`, string(d.Raw("a")))
		},
		"Keys": func(t *testing.T, _ *gateway.Gateway, d *gateway.Draft) {
			require.Equal(t, []string{"a", "b"}, d.Keys())
		},
		"Changed": func(t *testing.T, _ *gateway.Gateway, d *gateway.Draft) { require.False(t, d.Changed()) },
		"Discard": func(t *testing.T, _ *gateway.Gateway, d *gateway.Draft) {
			d.Discard()
			require.Equal(t, `"new"`, string(d.Raw("a")))
		},
		"the stored value again": func(t *testing.T, _ *gateway.Gateway, d *gateway.Draft) {
			d.Set("a", "new")
			require.False(t, d.Changed())
		},
		"Clear": func(t *testing.T, _ *gateway.Gateway, d *gateway.Draft) {
			d.Clear()
			require.True(t, d.Changed())
			require.Empty(t, d.Keys())
		},
		"flashes": func(t *testing.T, _ *gateway.Gateway, d *gateway.Draft) {
			require.Equal(t, []any{"hello"}, d.TakeFlashes())
		},
		"a savepoint from before": func(t *testing.T, g *gateway.Gateway, d *gateway.Draft) {
			before := d.Savepoint()
			d.Set("b", 2)
			require.NoError(t, g.Commit(t.Context(), d, nil))
			d.Restore(&before)
			require.Equal(t, "2", string(d.Raw("b")))
		},
		"another commit": func(t *testing.T, g *gateway.Gateway, d *gateway.Draft) {
			d.Set("c", 3)
			require.NoError(t, g.Commit(t.Context(), d, nil))
			values := stored(t, g)
			delete(values, "_flash")
			require.Equal(t, map[string]any{"a": "new", "b": 1.0, "c": 3.0}, values)
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(livestore.New())
			create(t, g, `{"a":"old"}`)
			d := draft(t, g)
			d.Set("a", "new")
			d.Set("b", 1)
			d.AddFlash("hello")
			require.NoError(t, g.Commit(t.Context(), d, nil))
			ask(t, g, d)
		})
	}
}
