package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

func TestKeepSeen(t *testing.T) {
	for name, c := range map[string]struct {
		stored      time.Time // Seen, as stored
		next        store.Record
		wantSeen    time.Time
		wantExpires time.Time
	}{
		"a later Seen is unchanged": {
			stored:   noon,
			next:     store.Record{Seen: noon.Add(time.Minute), Expires: noon.Add(time.Hour)},
			wantSeen: noon.Add(time.Minute), wantExpires: noon.Add(time.Hour),
		},
		"the same Seen is unchanged": {
			stored:   noon,
			next:     store.Record{Seen: noon, Expires: noon.Add(time.Hour)},
			wantSeen: noon, wantExpires: noon.Add(time.Hour),
		},
		"an earlier Seen moves up, and Expires by the same amount": {
			stored:   noon.Add(time.Minute),
			next:     store.Record{Seen: noon, Expires: noon.Add(time.Hour)},
			wantSeen: noon.Add(time.Minute), wantExpires: noon.Add(61 * time.Minute),
		},
		"a record that never expires still doesn't": {
			stored:   noon.Add(time.Minute),
			next:     store.Record{Seen: noon},
			wantSeen: noon.Add(time.Minute), wantExpires: time.Time{},
		},
		"Expires is limited by the lifetime": {
			stored:   noon.Add(10 * time.Minute),
			next:     store.Record{Seen: noon, Created: noon.Add(-time.Hour), Expires: noon.Add(55 * time.Minute), Lifetime: 2 * time.Hour},
			wantSeen: noon.Add(10 * time.Minute), wantExpires: noon.Add(time.Hour),
		},
		"the lifetime counts from the last login": {
			stored: noon.Add(10 * time.Minute),
			next: store.Record{
				Seen: noon, Created: noon.Add(-time.Hour), LoggedIn: noon.Add(-time.Minute),
				Expires: noon.Add(115 * time.Minute), Lifetime: 2 * time.Hour,
			},
			wantSeen: noon.Add(10 * time.Minute), wantExpires: noon.Add(119 * time.Minute),
		},
		"within the lifetime Expires is not limited": {
			stored:   noon.Add(10 * time.Minute),
			next:     store.Record{Seen: noon, Created: noon.Add(-time.Hour), Expires: noon.Add(30 * time.Minute), Lifetime: 2 * time.Hour},
			wantSeen: noon.Add(10 * time.Minute), wantExpires: noon.Add(40 * time.Minute),
		},
		"the stored Seen is zero": {
			next:     store.Record{Seen: noon, Expires: noon.Add(time.Hour)},
			wantSeen: noon, wantExpires: noon.Add(time.Hour),
		},
	} {
		t.Run(name, func(t *testing.T) {
			store.KeepSeen(&store.Record{Seen: c.stored}, &c.next)
			require.Equal(t, c.wantSeen, c.next.Seen)
			require.Equal(t, c.wantExpires, c.next.Expires)
		})
	}
}
