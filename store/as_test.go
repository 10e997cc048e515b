package store_test

import (
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// around is a store around another one. It passes on whether the other one responds.
type around struct{ store.Store }

func (a around) As(target any) (ok bool) {
	if ping, is := target.(*store.Pinger); is {
		*ping, ok = a.Store.(store.Pinger)
	}
	return ok
}

type pinging struct{ mapStore }

func (*pinging) Ping(context.Context) error { return io.ErrUnexpectedEOF }

func TestAsFindsCapabilitiesOfAStoreAndOfTheOneAround(t *testing.T) {
	for name, st := range map[string]store.Store{"itself": &pinging{}, "around": around{&pinging{}}} {
		t.Run(name, func(t *testing.T) {
			ping, ok := store.As[store.Pinger](st)
			require.True(t, ok)
			require.ErrorIs(t, ping.Ping(t.Context()), io.ErrUnexpectedEOF)
		})
	}
	for name, st := range map[string]store.Store{"none": &mapStore{}, "around none": around{&mapStore{}}} {
		t.Run(name, func(t *testing.T) {
			ping, ok := store.As[store.Pinger](st)
			require.False(t, ok)
			require.Nil(t, ping)
			_, ok = store.As[store.Lister](st)
			require.False(t, ok)
		})
	}
}
