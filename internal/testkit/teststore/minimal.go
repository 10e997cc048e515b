package teststore

import (
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// Minimal is a store without any optional capability.
type Minimal struct{ store.Store }

type (
	// Listing is a store with no other capability than store.Lister.
	Listing struct {
		store.Store
		store.Lister
	}
	activityStore struct {
		store.Store
		store.ActivityIndex
	}
)

// Poorer returns st with all capabilities and with one only, by name.
func Poorer(st *livestore.Store) map[string]store.Store {
	return map[string]store.Store{
		"all indexes":   st,
		"activity only": activityStore{st, st},
		"list only":     Listing{st, st},
	}
}
