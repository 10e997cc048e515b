package pgstore_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sessionbridge/sessionbridge/pgstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// Ping is the health check for a load balancer.
func Example() {
	ctx := context.Background()
	sessions, err := pgstore.Open(ctx, "postgres://sessions:password@db.internal/app", nil)
	if err != nil {
		log.Fatal(err) // the error says how to fix it: a wrong password, a missing right, an old version
	}
	defer func() { _ = sessions.Close() }()
	http.HandleFunc("/healthy", func(w http.ResponseWriter, r *http.Request) {
		if err := sessions.Ping(r.Context()); err != nil {
			http.Error(w, "no sessions", http.StatusServiceUnavailable)
		}
	})
}

// The application has a pool already. The store uses a few of its connections.
func ExampleNew() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, "postgres://app:password@db.internal/app")
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close() // after the store
	sessions, err := pgstore.New(ctx, pool, &pgstore.Options{Schema: "app_sessions"})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = sessions.Close() }()
}

// Each application has sessions of its own in one store.
func ExampleStore_App() {
	sessions, err := pgstore.Open(context.Background(), "postgres://db.internal/app", nil)
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
	fmt.Println(err) // store: no such record
}

// A transaction that someone has left open makes the table grow.
func ExampleStore_Stats() {
	ctx := context.Background()
	sessions, err := pgstore.Open(ctx, "postgres://db.internal/app", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = sessions.Close() }()
	stats, err := sessions.Stats(ctx)
	switch {
	case err != nil:
		log.Print(err)
	case stats.OldestTransaction > time.Minute:
		log.Printf("a transaction is open for %v: %d old versions of sessions are kept", stats.OldestTransaction, stats.Dead)
	}
}

// The statements for an administrator, where the application may create nothing.
func ExampleSchema() {
	sql := pgstore.Schema("app_sessions")
	fmt.Println(strings.SplitN(sql, "\n", 2)[0])
	// Output: CREATE SCHEMA IF NOT EXISTS "app_sessions";
}
