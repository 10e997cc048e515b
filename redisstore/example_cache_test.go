package redisstore_test

import (
	"context"
	"log"
	"net/http"

	"github.com/sessionbridge/sessionbridge/redisstore"
)

// What is read far more often than it changes comes from memory, once it has been read.
func ExampleStore_GetCached() {
	sessions, err := redisstore.Open(context.Background(), "redis://redis.internal:6379", &redisstore.Options{CacheBytes: 64 << 20})
	if err != nil {
		log.Fatal(err) // among others: the server's ACL doesn't allow client-side caching
	}
	defer func() { _ = sessions.Close() }()
	http.HandleFunc("/cart", func(w http.ResponseWriter, r *http.Request) {
		rec, err := sessions.GetCached(r.Context(), r.FormValue("session"))
		if err != nil {
			http.Error(w, "no session", http.StatusNotFound)
			return
		}
		_, _ = w.Write(rec.Data) // a moment old, perhaps: nobody's right to see it was judged by it
	})
}
