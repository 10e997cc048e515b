package sealed_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/testkit/capabilities"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

func TestExactlyTheCapabilitiesOfTheInnerStore(t *testing.T) {
	capabilities.Check(t, func(inner store.Store) store.Store { return seal(t, inner, nil, 1) })
}

// TestACapabilityDoesNotLeadToTheInnerStore: a value that has been passed on gives only what it is
// for.
func TestACapabilityDoesNotLeadToTheInnerStore(t *testing.T) {
	inner := livestore.New()
	st := seal(t, inner, quiet(), 1)
	rec := create(t, st)
	for _, c := range []any{
		capability[store.Toucher](t, st), capability[store.Optimizer](t, st), capability[store.Pinger](t, st),
		capability[io.Closer](t, st), capability[store.Lister](t, st), capability[store.Sweeper](t, st),
	} {
		if asStore, ok := c.(store.Store); ok {
			require.Equal(t, rec, get(t, asStore, rec.ID), "%T opens records", c)
		}
		if asLister, ok := c.(store.Lister); ok {
			for got, err := range asLister.List(t.Context()) {
				require.NoError(t, err)
				require.Equal(t, rec, got)
			}
		}
	}
}

// TestStoresCanBeCopied: store.Copy moves opened records between stores with different keys, and
// sealed ones between inner stores.
func TestStoresCanBeCopied(t *testing.T) {
	from, to := livestore.New(), livestore.New()
	source, target := seal(t, from, nil, 1), seal(t, to, nil, 2)
	rec := create(t, source, func(rec *store.Record) { rec.Expires = time.Now().Add(time.Hour) })
	n, err := store.Copy(t.Context(), capability[store.Lister](t, source), target, store.CopyOptions{Mirror: true})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, rec.Data, get(t, target, rec.ID).Data)

	raw := livestore.New()
	_, err = store.Copy(t.Context(), from, raw, store.CopyOptions{})
	require.NoError(t, err)
	require.Equal(t, rec.Data, get(t, seal(t, raw, nil, 1), rec.ID).Data)
	require.Equal(t, []string{rec.ID}, byUser(t, seal(t, raw, nil, 1), "secret-user"))
}

func TestErrorsOfTheInnerStorePassThrough(t *testing.T) {
	inner := livestore.New()
	st := seal(t, inner, nil, 2, 1)
	rec := create(t, st)
	require.NoError(t, capability[io.Closer](t, st).Close())
	_, err := st.Get(t.Context(), rec.ID)
	require.ErrorIs(t, err, store.ErrClosed)
	_, err = capability[store.ClientOrder](t, st).NewestByClient(t.Context(), "c", 1)
	require.ErrorIs(t, err, store.ErrClosed)
	_, err = capability[store.ClientOrder](t, st).SurplusByClient(t.Context(), "c", 1, 1)
	require.ErrorIs(t, err, store.ErrClosed)
	_, err = capability[store.Sweeper](t, st).Sweep(t.Context(), noon, 1)
	require.ErrorIs(t, err, store.ErrClosed)
	_, err = st.Rewrap(t.Context(), nil)
	require.ErrorIs(t, err, store.ErrClosed)
	for _, err := range capability[store.ActiveLister](t, st).ListActive(t.Context(), noon, noon) {
		require.ErrorIs(t, err, store.ErrClosed)
	}
	for _, err := range capability[store.UserIndex](t, st).ByUser(t.Context(), "ada") {
		require.ErrorIs(t, err, store.ErrClosed)
	}

	failing := &locks{err: errors.New("unreachable"), failAt: 2}
	_, err = capability[store.UserLocker](t, seal(t, failing, nil, 2, 1)).LockUser(t.Context(), "ada")
	require.ErrorIs(t, err, failing.err)
	require.Zero(t, failing.held, "what has been locked is unlocked")
	failing.failAt = 0
	unlock, err := capability[store.UserLocker](t, seal(t, failing, nil, 2, 1)).LockUser(t.Context(), "ada")
	require.NoError(t, err)
	require.Equal(t, 2, failing.held, "every name is locked")
	require.NoError(t, unlock(t.Context()))
	require.Zero(t, failing.held)
}

// locks is a store.UserLocker that counts.
type locks struct {
	bare
	held, failAt int
	err          error
}

func (l *locks) LockUser(context.Context, string) (func(context.Context) error, error) {
	if l.held+1 == l.failAt {
		return nil, l.err
	}
	l.held++
	return func(context.Context) error { l.held--; return nil }, nil
}

// TestS15_PrintsNoKey: nor anything else that it holds.
func TestS15_PrintsNoKey(t *testing.T) {
	st := seal(t, livestore.New(), nil, 1)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		require.Equal(t, "sealed.Store", fmt.Sprintf(verb, st))
	}
}

// TestOnlyThisPackageNeedsTheCryptoLibrary: an application that doesn't encrypt doesn't link it.
func TestOnlyThisPackageNeedsTheCryptoLibrary(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps",
		"../../bridge", "../../livestore", "../../filestore", "../../redisstore", "..").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "/store\n")
	for dependency := range strings.Lines(string(out)) {
		require.False(t, strings.HasPrefix(dependency, "golang.org/x/crypto"), dependency)
		require.NotContains(t, dependency, "/store/sealed")
	}
}
