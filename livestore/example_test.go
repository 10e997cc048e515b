package livestore_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// The life of a session, as the layers above a store see it.
func Example() {
	ctx := context.Background()
	sessions := livestore.New()
	defer func() { _ = sessions.Close() }()

	now := time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)
	rec := store.Record{
		ID:     "5b4c8f0e-54a5-4d52-9a59-0a7c53f6d0c4",
		UserID: "ada",
		Data:   []byte(`{"theme":"dark"}`),
		Seen:   now, Expires: now.Add(time.Hour),
	}
	rec.Revision, _ = sessions.Set(ctx, rec) // Revision 0: create
	stale := rec

	rec.Data = []byte(`{"theme":"light"}`)
	rec.Revision, _ = sessions.Set(ctx, rec)
	_, err := sessions.Set(ctx, stale)
	fmt.Println("stale writer:", errors.Is(err, store.ErrConflict))

	for rec, err := range sessions.ByUser(ctx, "ada") {
		fmt.Println("of ada:", string(rec.Data), err)
	}

	swept, _ := sessions.Sweep(ctx, now.Add(time.Hour), 100)
	fmt.Println("expired:", len(swept))
	_, err = sessions.Set(ctx, rec)
	fmt.Println("late writer:", errors.Is(err, store.ErrNotFound))
	// Output:
	// stale writer: true
	// of ada: {"theme":"light"} <nil>
	// expired: 1
	// late writer: true
}
