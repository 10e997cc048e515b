package redisstore_test

import (
	"context"
	"log"
	"net/http"

	"github.com/sessionbridge/sessionbridge/redisstore"
)

// Sessions that are read far more often than they change are served from memory.
func ExampleStore_GetCached() {
	sessions, err := redisstore.Open(context.Background(), "redis://redis.internal:6379", &redisstore.Options{CacheBytes: 64 << 20})
	if err != nil {
		log.Fatal(err) // for example, the server's ACL doesn't allow client-side caching
	}
	defer func() { _ = sessions.Close() }()
	http.HandleFunc("/cart", func(w http.ResponseWriter, r *http.Request) {
		rec, err := sessions.GetCached(r.Context(), r.FormValue("session"))
		if err != nil {
			http.Error(w, "no session", http.StatusNotFound)
			return
		}
		_, _ = w.Write(rec.Data) // the session may be a moment old; this handler makes no access decision with it
	})
}
