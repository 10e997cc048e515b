package soak_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sessionbridge/sessionbridge/pgstore"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// farmServer is the server on which the nodes of a farm share their sessions.
type farmServer interface {
	URL() string
	Kill()
	Restart() // with what was acknowledged
	Proxy() farmProxy

	// EndLease ends the lease of a dead node early, as if 15 seconds had passed.
	EndLease(node string)
	// Holds reports whether the server has something that the node held.
	Holds(node string) bool
	// Sessions reports whether there are sessions, or what refers to them.
	Sessions() bool
	// Locks returns the number of locks on users.
	Locks() int
	// RequireEmpty fails unless the server has nothing left after all nodes have left but what ends by
	// itself.
	RequireEmpty(st farmStore)
}

// farmProxy is the network between a node and the server.
type farmProxy interface {
	URL() string
	Cut() int
	Refuse()
	Allow()
	Stall()
	Resume()
	Delay(d time.Duration)
	DropPushes()
	PassPushes()
}

// farmStore is what the nodes' stores have in common.
type farmStore interface {
	store.Store
	store.Watcher
	store.Optimizer
	io.Closer
}

// openFarmStore opens the store of that URL. Without a timeout it has its default.
func openFarmStore(ctx context.Context, url string, timeout time.Duration) (farmStore, error) {
	if strings.HasPrefix(url, "postgres:") {
		return pgstore.Open(ctx, url, &pgstore.Options{Timeout: timeout})
	}
	return redisstore.Open(ctx, url, &redisstore.Options{Timeout: timeout})
}

// farmServers start a server that keeps what it has acknowledged when it is killed.
var farmServers = map[string]func(t *testing.T) farmServer{
	"Redis":      func(t *testing.T) farmServer { t.Helper(); return onRedis(t, farmDurable...) },
	"PostgreSQL": func(t *testing.T) farmServer { t.Helper(); return onPostgres(t) },
}
