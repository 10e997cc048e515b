package sealed_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/sealed"
)

// A store around another one: give it to bridge.New instead of the other one.
func ExampleNew() {
	key := make([]byte, 32) // keep it: bridge.LoadOrCreateKeys makes a file of keys
	_, _ = rand.Read(key)
	inner := livestore.New() // or filestore.Open, redisstore.Open, …
	sessions, err := sealed.New(inner, [][]byte{key}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	_, err = sessions.Set(ctx, store.Record{ID: "s1", UserID: "ada", Data: []byte(`{"n":1}`)})
	fmt.Println(err)

	rec, err := sessions.Get(ctx, "s1")
	fmt.Println(rec.UserID, string(rec.Data), err)
	users, _ := store.As[store.UserIndex](sessions)
	for rec, err := range users.ByUser(ctx, "ada") {
		fmt.Println(rec.ID, err)
	}
	raw, _ := inner.Get(ctx, "s1")
	fmt.Println(raw.UserID == "ada", raw.Data[0] == '{')

	_, err = sealed.New(inner, nil, nil)
	fmt.Println(err != nil)
	// Output:
	// <nil>
	// ada {"n":1} <nil>
	// s1 <nil>
	// false false
	// true
}

// A key is replaced: the new one seals from now on, and Rewrap seals the rest.
func ExampleStore_Rewrap() {
	ctx, inner := context.Background(), livestore.New()
	old, _ := sealed.New(inner, [][]byte{keyOf(1)}, nil)
	_, _ = old.Set(ctx, store.Record{ID: "s1", Data: []byte(`{"n":1}`)})

	both, _ := sealed.New(inner, [][]byte{keyOf(2), keyOf(1)}, nil)
	done, err := both.Rewrap(ctx, func(done sealed.Rewrapped) { fmt.Println("read", done.Read) })
	fmt.Println(done.Rewrapped, done.Unopenable, err)

	_, err = old.Get(ctx, "s1")
	fmt.Println(errors.Is(err, sealed.ErrUnopenable))
	// Output:
	// read 1
	// 1 0 <nil>
	// true
}

// A key made of a passphrase. The file with the salt belongs to the backups.
func ExamplePassphraseKey() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	salt := filepath.Join(dir, "salt")
	key, err := sealed.PassphraseKey([]byte("correct horse battery staple"), salt)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = sealed.New(livestore.New(), [][]byte{key}, nil)
	fmt.Println(len(key), err)
	again, err := sealed.PassphraseKey([]byte("correct horse battery staple"), salt)
	fmt.Println(bytes.Equal(key, again), err)
	// Output:
	// 32 <nil>
	// true <nil>
}
