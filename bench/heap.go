package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2/memstore"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

func storeGroups() []group {
	var all []group
	for _, size := range []struct {
		n    int
		want target
	}{{100_000, target{}}, {1_000_000, atMostBytes(700)}} {
		n := size.n
		all = append(all, group{
			name:   fmt.Sprintf("heap per session, %dk of 300 B", n/1000),
			ours:   side{"ours", func() (*subject, error) { return heapOf(n, fillLive) }},
			peer:   side{"scs memstore", func() (*subject, error) { return heapOf(n, fillMemstore) }},
			rounds: 1, // it comes out the same each time
			rows:   []row{{"", bytesPerEntry, size.want}},
		})
	}
	return all
}

// heapOf measures what n sessions take in a store that fill makes.
func heapOf(n int, fill func(n int) (any, error)) (*subject, error) {
	return &subject{
		measure: func(quick bool) (sample, error) {
			n := n
			if quick {
				n /= 50
			}
			before := heapInUse()
			st, err := fill(n)
			after := heapInUse()
			runtime.KeepAlive(st)
			return sample{bytesPerEntry: float64(after-before) / float64(n)}, err
		},
		close: func() error { return nil },
	}, nil
}

func heapInUse() int64 {
	var stats runtime.MemStats
	for range 2 { // the second frees what pools held on to
		runtime.GC()
	}
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc) //nolint:gosec // no machine has that much
}

func fillLive(n int) (any, error) { return liveStore(n) }

// liveStore stores whole records, with all that the bridge knows of a session and its browser.
func liveStore(n int) (*livestore.Store, error) {
	st := livestore.New()
	now := time.Now()
	for i := range n {
		if _, err := st.Set(context.Background(), session(i, now, now.Add(24*time.Hour))); err != nil {
			return nil, err
		}
	}
	return st, nil
}

// fillMemstore stores as many bytes under scs's 43-character tokens. scs knows no users, clients or
// activity.
func fillMemstore(n int) (any, error) {
	st := memstore.NewWithCleanupInterval(0)
	end := time.Now().Add(24 * time.Hour)
	for i := range n {
		if err := st.Commit(fmt.Sprintf("%043x", i), []byte(sessionData), end); err != nil {
			return nil, err
		}
	}
	return st, nil
}

// sessionData has 300 bytes.
var sessionData = `{"cart":"` + strings.Repeat("x", 300-len(`{"cart":""}`)) + `"}`

const userAgent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) " +
	"Chrome/142.0.0.0 Safari/537.36"

// session returns the nth record.
func session(n int, seen, expires time.Time) store.Record {
	return store.Record{
		ID:              fmt.Sprintf("%08x-0000-4000-8000-%012x", n, n),
		TokenGeneration: 1,
		ClientID:        fmt.Sprintf("%08x-0000-4000-9000-%012x", n, n),
		UserID:          fmt.Sprintf("user-%d", n/2),
		Addr:            "192.0.2.1",
		UserAgent:       userAgent,
		Data:            []byte(sessionData),
		Created:         seen,
		Seen:            seen,
		Expires:         expires,
		Idle:            24 * time.Hour,
		Writes:          1,
	}
}
