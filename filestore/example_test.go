package filestore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// Sessions that are there after the process has ended.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "sessions.db")

	sessions, err := filestore.Open(path, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	now := time.Now()
	_, err = sessions.Set(ctx, store.Record{ID: "5b4c8f0e-54a5-4d52-9a59-0a7c53f6d0c4", UserID: "ada", Data: []byte(`{"n":1}`), Seen: now, Expires: now.Add(time.Hour)})
	fmt.Println("stored:", err)
	_, err = filestore.Open(path, nil)
	fmt.Println("another one at the same time:", errors.Is(err, filestore.ErrLocked))
	fmt.Println("closed:", sessions.Close())

	sessions, err = filestore.Open(path, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = sessions.Close() }()
	for rec, err := range sessions.ByUser(ctx, "ada") {
		fmt.Println("ada's:", string(rec.Data), err)
	}
	// Output:
	// stored: <nil>
	// another one at the same time: true
	// closed: <nil>
	// ada's: {"n":1} <nil>
}

// A backup of a store in use is a store of its own, which can be checked and opened.
func ExampleStore_Backup() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	sessions, err := filestore.Open(filepath.Join(dir, "sessions.db"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = sessions.Close() }()
	ctx := context.Background()
	now := time.Now()
	_, err = sessions.Set(ctx, store.Record{
		ID: "5b4c8f0e-54a5-4d52-9a59-0a7c53f6d0c4", UserID: "ada", Data: []byte(`{"n":1}`), Seen: now, Expires: now.Add(time.Hour),
	})
	fmt.Println("stored:", err)

	copied := filepath.Join(dir, "backup.db")
	file, err := os.OpenFile(copied, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = sessions.Backup(ctx, file)
	fmt.Println("backed up:", errors.Join(err, file.Sync(), file.Close()))
	report, err := filestore.Check(copied)
	fmt.Println("checked:", report.Sessions, report.OK(), err)
	// Output:
	// stored: <nil>
	// backed up: <nil>
	// checked: 1 true <nil>
}
