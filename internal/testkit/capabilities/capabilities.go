// Package capabilities checks stores around other ones: see store.As.
package capabilities

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/testkit/testhub"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// capabilities has a function for each capability, by its name, that reports whether a store has it.
var capabilities = map[string]func(store.Store) bool{
	"Lister": has[store.Lister], "Toucher": has[store.Toucher], "Sweeper": has[store.Sweeper],
	"UserIndex": has[store.UserIndex], "ClientIndex": has[store.ClientIndex], "ClientOrder": has[store.ClientOrder],
	"ActivityIndex": has[store.ActivityIndex], "ActiveLister": has[store.ActiveLister],
	"Optimizer": has[store.Optimizer], "Pinger": has[store.Pinger], "Namespacer": has[store.Namespacer],
	"Watcher": has[store.Watcher], "Ender": has[store.Ender], "UserLocker": has[store.UserLocker],
	"Reserver": has[store.Reserver], "CachedGetter": has[store.CachedGetter], "Keeper": has[store.Keeper],
	"Closer": has[io.Closer],
}

func has[C any](st store.Store) bool {
	_, ok := store.As[C](st)
	return ok
}

// Check fails the test unless the stores that around returns have exactly the capabilities of their
// inner stores.
func Check(t *testing.T, around func(inner store.Store) store.Store) {
	t.Helper()
	stores := only()
	stores["none"], stores["all"] = struct{ store.Store }{}, all{}
	require.Len(t, stores, len(capabilities)+2)
	for name, inner := range stores {
		st := around(inner)
		for capability, has := range capabilities {
			require.Equal(t, name == "all" || name == capability, has(st), "%s of a store with %s", capability, name)
		}
	}
	for name, inner := range map[string]store.Store{"livestore": livestore.New(), "hub": testhub.New()} {
		for capability, has := range capabilities {
			require.Equal(t, has(inner), has(around(inner)), "%s of %s", capability, name)
		}
	}
	require.False(t, has[error](around(livestore.New())), "no capability")
}

// all is a store with every capability.
type all struct {
	store.Store
	store.Lister
	store.Toucher
	store.Sweeper
	store.UserIndex
	store.ClientIndex
	store.ClientOrder
	store.ActivityIndex
	store.ActiveLister
	store.Optimizer
	store.Pinger
	store.Namespacer
	store.Watcher
	store.Ender
	store.UserLocker
	store.Reserver
	store.CachedGetter
	store.Keeper
	io.Closer
}

// only is a store with one capability.
func only() map[string]store.Store {
	type s struct{ store.Store }
	return map[string]store.Store{
		"Lister": struct {
			s
			store.Lister
		}{}, "Toucher": struct {
			s
			store.Toucher
		}{}, "Sweeper": struct {
			s
			store.Sweeper
		}{}, "UserIndex": struct {
			s
			store.UserIndex
		}{}, "ClientIndex": struct {
			s
			store.ClientIndex
		}{}, "ClientOrder": struct {
			s
			store.ClientOrder
		}{}, "ActivityIndex": struct {
			s
			store.ActivityIndex
		}{}, "ActiveLister": struct {
			s
			store.ActiveLister
		}{}, "Optimizer": struct {
			s
			store.Optimizer
		}{}, "Pinger": struct {
			s
			store.Pinger
		}{}, "Namespacer": struct {
			s
			store.Namespacer
		}{}, "Watcher": struct {
			s
			store.Watcher
		}{}, "Ender": struct {
			s
			store.Ender
		}{}, "UserLocker": struct {
			s
			store.UserLocker
		}{}, "Reserver": struct {
			s
			store.Reserver
		}{}, "CachedGetter": struct {
			s
			store.CachedGetter
		}{}, "Keeper": struct {
			s
			store.Keeper
		}{}, "Closer": struct {
			s
			io.Closer
		}{},
	}
}
