package imports_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/imports"
	"github.com/sessionbridge/sessionbridge/livestore"
)

var errSave = errors.New("not stored")

// library is a Source that counts what is done with it.
type library struct {
	imports.Source
	loads, done int
}

func newLibrary(ok bool) *library {
	l := &library{}
	l.Key = "key"
	l.Load = func(context.Context) (string, map[string]any, bool, error) {
		l.loads++
		return "ann", nil, ok, nil
	}
	l.Done = func(context.Context) error { l.done++; return errSave }
	return l
}

func TestImportStoresASessionOnce(t *testing.T) {
	var failures []string
	c := imports.New(livestore.New(), timeout, func(_ context.Context, doing, id string, err error) {
		require.ErrorIs(t, err, errSave)
		failures = append(failures, doing+" "+id)
	})
	l, saved := newLibrary(true), 0
	save := func(ctx context.Context, from *imports.Foreign) (bool, error) {
		saved++
		require.Equal(t, "ann", from.UserID)
		require.NoError(t, ctx.Err())
		return true, nil
	}
	for i, want := range []imports.State{imports.Imported, imports.Known, imports.Known} {
		state, err := c.Import(t.Context(), &l.Source, "id", save)
		require.NoError(t, err)
		require.Equal(t, want, state, "call %d", i)
	}
	require.Equal(t, []int{1, 1, 1}, []int{l.loads, saved, l.done})
	require.Equal(t, []string{"finish the import of a session in its library id"}, failures)
}

func TestImportGoesOnWhenItsRequestEnds(t *testing.T) {
	c := imports.New(livestore.New(), timeout, nil)
	l := newLibrary(true)
	l.Done = nil
	ctx, cancel := context.WithCancel(t.Context())
	state, err := c.Import(ctx, &l.Source, "id", func(ctx context.Context, _ *imports.Foreign) (bool, error) {
		cancel()
		return true, ctx.Err()
	})
	require.NoError(t, err)
	require.Equal(t, imports.Imported, state)
}

func TestNothingIsWrittenForASessionThatDoesNotExist(t *testing.T) {
	c := imports.New(livestore.New(), timeout, nil)
	l := newLibrary(false)
	state, err := c.Import(t.Context(), &l.Source, "id", nil)
	require.NoError(t, err)
	require.Equal(t, imports.None, state)
	known, err := c.Known(t.Context(), "id")
	require.NoError(t, err)
	require.False(t, known)
}

func TestImportThatStoredNothingMayBeRepeated(t *testing.T) {
	for name, fail := range map[string]func() (bool, error){
		"error":   func() (bool, error) { return false, errSave },
		"refused": func() (bool, error) { return false, nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := imports.New(livestore.New(), timeout, nil)
			l := newLibrary(true)
			_, want := fail()
			state, err := c.Import(t.Context(), &l.Source, "id", func(context.Context, *imports.Foreign) (bool, error) {
				return fail()
			})
			require.ErrorIs(t, err, want)
			require.Equal(t, imports.None, state)
			require.Zero(t, l.done)
			known, err := c.Known(t.Context(), "id")
			require.NoError(t, err)
			require.False(t, known)
		})
	}
	t.Run("panic", func(t *testing.T) {
		c := imports.New(livestore.New(), timeout, nil)
		l := newLibrary(true)
		require.Panics(t, func() {
			_, _ = c.Import(t.Context(), &l.Source, "id", func(context.Context, *imports.Foreign) (bool, error) { panic("x") })
		})
		known, err := c.Known(t.Context(), "id")
		require.NoError(t, err)
		require.False(t, known)
	})
}

func TestImportThatMayHaveStoredTheSessionIsNotRepeated(t *testing.T) {
	c := imports.New(livestore.New(), timeout, nil)
	l := newLibrary(true)
	_, err := c.Import(t.Context(), &l.Source, "id", func(context.Context, *imports.Foreign) (bool, error) {
		return true, gateway.ErrUnavailable
	})
	require.ErrorIs(t, err, gateway.ErrUnavailable)
	known, err := c.Known(t.Context(), "id")
	require.NoError(t, err)
	require.True(t, known)
	require.Zero(t, l.done)
}
