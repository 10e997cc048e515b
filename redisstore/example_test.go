package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"sync"

	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// A namespace separates the sessions from the keys of other programs. Ping is the health check for
// a load balancer.
func Example() {
	ctx := context.Background()
	sessions, err := redisstore.Open(ctx, "rediss://sessions:password@redis.internal:6379", &redisstore.Options{Namespace: "shop"})
	if err != nil {
		log.Fatal(err) // the error says how to fix it: a wrong password, a replica, an old version
	}
	defer func() { _ = sessions.Close() }()
	http.HandleFunc("/healthy", func(w http.ResponseWriter, r *http.Request) {
		if err := sessions.Ping(r.Context()); err != nil {
			http.Error(w, "no sessions", http.StatusServiceUnavailable)
		}
	})
}

// Each application has sessions of its own in one store.
func ExampleStore_App() {
	sessions, err := redisstore.Open(context.Background(), "redis://a:6379,b:6379,c:6379", nil) // a cluster
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = sessions.Close() }()
	shop, forum := sessions.App("shop"), sessions.App("forum")
	rec := store.Record{ID: "5b4c8f0e-54a5-4d52-9a59-0a7c53f6d0c4", Data: []byte("{}")}
	if _, err := shop.Set(context.Background(), rec); err != nil {
		log.Fatal(err)
	}
	_, err = forum.Get(context.Background(), rec.ID)
	fmt.Println(errors.Is(err, store.ErrNotFound))
}

// A node is notified when sessions that it holds change or end. Here it keeps a cache of pages that
// were rendered from them.
func ExampleStore_Watch() {
	ctx := context.Background()
	sessions, err := redisstore.Open(ctx, "redis://redis.internal:6379", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = sessions.Close() }()
	var pages sync.Map // by session ID
	node := sessions.Watch(func(change store.Change) {
		switch change.Kind {
		case store.ChangeEnded, store.ChangeAccess, store.ChangeStored:
			pages.Delete(change.ID)
		case store.ChangeMissed:
			pages.Clear()
		}
	})
	defer func() { _ = node.Leave(ctx) }() // before the store is closed
	const id = "5b4c8f0e-54a5-4d52-9a59-0a7c53f6d0c4"
	if err := node.Hold(ctx, id, ""); err != nil {
		log.Fatal(err)
	}
	pages.Store(id, "made of the session, after it is held")
}

// A lock on the user prevents new logins while all sessions of the user are ended.
func ExampleStore_LockUser() {
	ctx := context.Background()
	sessions, err := redisstore.Open(ctx, "redis://redis.internal:6379", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = sessions.Close() }()
	unlock, err := sessions.LockUser(ctx, "ada")
	if err != nil {
		log.Fatal(err)
	}
	for rec, err := range sessions.ByUser(ctx, "ada") {
		if err == nil {
			_, err = sessions.End(ctx, rec.ID, "password changed", 0)
		}
		if err != nil {
			log.Print(err)
		}
	}
	if err := unlock(ctx); err != nil {
		log.Print(err) // after ErrLockLost, repeat the whole operation
	}
}

// After a leak of the database everyone has to log in again.
func ExampleStore_EndAll() {
	ctx := context.Background()
	sessions, err := redisstore.Open(ctx, "redis://redis.internal:6379", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = sessions.Close() }()
	err = sessions.EndAll(ctx, "incident", func(rec store.Record) { fmt.Println("ended", rec.ID) })
	if err != nil {
		log.Print(err) // some may be left: repeat it
	}
}
