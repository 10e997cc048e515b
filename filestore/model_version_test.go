package filestore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"math/rand/v2"
	"reflect"
	"strings"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// versionOf returns the record that attempt number stores for the session: the same each time, so that whoever finds it
// afterwards can tell that all of it is as it was written, by the number alone.
func versionOf(key sessionKey, number uint64) store.Record {
	random := rand.New(rand.NewPCG(hashOf(key.app, key.id), number))
	rec := store.Record{
		ID:              key.id,
		ClientID:        modelClients[random.IntN(len(modelClients))],
		UserID:          modelUsers[random.IntN(len(modelUsers))],
		Addr:            fmt.Sprintf("192.0.2.%d", random.IntN(256)),
		UserAgent:       "agent " + strings.Repeat("a", random.IntN(60)),
		TokenGeneration: number,
		LoginGeneration: random.Uint64N(number + 1),
		Writes:          number,
		Idle:            time.Duration(random.IntN(100)) * time.Minute,
		Created:         modelEpoch.Add(-time.Duration(hashOf(key.id)%1e6) * time.Microsecond),
		Seen:            timeOfNumber(number).Add(time.Duration(random.IntN(120e6)-60e6) * time.Microsecond),
		Data:            dataOf(key, number, random),
	}
	fill(rec.TokenHash[:], random)
	if random.IntN(2) == 0 {
		fill(rec.PrevTokenHash[:], random)
		rec.RotatedAt = rec.Seen.Add(-time.Second)
	}
	if rec.LoginGeneration%2 == 1 {
		rec.LoggedIn = rec.Seen.Add(-time.Minute)
	}
	binary.LittleEndian.PutUint64(rec.WriteID[:], number)
	fill(rec.WriteID[8:], random)
	switch {
	case key.expiring():
		rec.Expires = timeOfNumber(number).Add(time.Duration(random.IntN(60e6)) * time.Microsecond)
	case random.IntN(3) > 0:
		rec.Expires = rec.Seen.Add(10 * 365 * 24 * time.Hour)
		if random.IntN(2) == 0 { // not far from the end of its lifetime: touches come to it
			rec.Lifetime = rec.Expires.Sub(rec.Created) + time.Duration(random.IntN(100))*time.Second
		}
	}
	return rec
}

var (
	modelEpoch   = time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)
	modelUsers   = []string{"", "anna", "ann", "zoë", "b\x00", "b", "0123456789012345678901234567890123456789"}
	modelClients = []string{
		"", "c1", "c2", "c", "7d444840-9dc0-11d1-b245-5ffdce74fad2", "7D444840-9DC0-11D1-B245-5FFDCE74FAD2",
		"00000000-0000-0000-0000-000000000000",
	}
)

// timeOfNumber is the time as the tests have it: a second for each version.
func timeOfNumber(number uint64) time.Time {
	return modelEpoch.Add(time.Duration(number) * time.Second)
}

// expiring: the session is one that expires soon, for the sweep to find.
func (k sessionKey) expiring() bool { return strings.HasPrefix(k.id, "x") }

// smallPrefix begins the names of sessions whose data is small.
const smallPrefix = "small-"

// dataOf is a JSON object that says whose it is, with a checksum. Most are small, one in ten is larger than a page of the
// database, and one in a hundred than a segment' first piece.
func dataOf(key sessionKey, number uint64, random *rand.Rand) []byte {
	size := random.IntN(300)
	switch {
	case strings.HasPrefix(key.id, smallPrefix):
	case random.IntN(100) == 0:
		size = 60000 + random.IntN(60000)
	case random.IntN(10) == 0:
		size = random.IntN(20000)
	}
	letters := make([]byte, 61)
	fill(letters, random)
	for i := range letters {
		letters[i] = 'a' + letters[i]&15
	}
	pad := bytes.Repeat(letters, size/len(letters)+1)[:size]
	text := make([]byte, 0, size+200)
	text = fmt.Appendf(text, `{"app":%q,"id":%q,"number":%d,"pad":"%s"`, key.app, key.id, number, pad)
	return fmt.Appendf(text, `,"sum":%d}`, crc32.ChecksumIEEE(text))
}

func fill(b []byte, random *rand.Rand) {
	for i := range b {
		b[i] = byte(random.Uint32())
	}
}

func hashOf(texts ...string) uint64 {
	h := fnv.New64a()
	for _, text := range texts {
		_, _ = h.Write([]byte(text))
		_, _ = h.Write([]byte{0})
	}
	return h.Sum64()
}

// identify returns the number of the version that the record is. An error: it isn't wholly one.
func identify(key sessionKey, rec *store.Record) (number uint64, err error) {
	number = binary.LittleEndian.Uint64(rec.WriteID[:])
	want := versionOf(key, number)
	want.Revision = rec.Revision
	seen, expires := rec.Seen, rec.Expires
	if expected := movedTo(want, seen); !expected.Equal(expires) {
		return number, fmt.Errorf("version %d seen %v, first %v, expires %v, not %v", number, seen, want.Seen, expires, expected)
	}
	if seen.Before(want.Seen) {
		return number, fmt.Errorf("version %d was seen %v, before %v", number, seen, want.Seen)
	}
	want.Seen, want.Expires = seen, expires
	return number, differences(rec, &want)
}

// movedTo returns when the record expires once it was seen at that time.
func movedTo(rec store.Record, seen time.Time) time.Time {
	moved := rec
	moved.Seen = seen
	earlier := rec
	earlier.Expires = rec.Expires
	store.KeepSeen(&moved, &earlier)
	return earlier.Expires
}

// differences says in which fields the records differ; nil if in none.
func differences(got, want *store.Record) error {
	a, b := reflect.ValueOf(got).Elem(), reflect.ValueOf(want).Elem()
	var found []string
	for i := range a.NumField() {
		if x, y := a.Field(i).Interface(), b.Field(i).Interface(); !reflect.DeepEqual(x, y) {
			found = append(found, fmt.Sprintf("%s is %.100v, not %.100v", a.Type().Field(i).Name, x, y))
		}
	}
	if found == nil {
		return nil
	}
	return fmt.Errorf("not a version that was stored: %s", strings.Join(found, "; "))
}
