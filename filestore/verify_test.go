package filestore

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/sessionbridge/sessionbridge/store"
)

func TestVerifyFindsNothingWrongWithAWholeDatabase(t *testing.T) {
	t.Parallel()
	for _, sessions := range []int{0, 1, 10, 3000} {
		path := writeDatabase(t, map[string]int{"": sessions, "shop": sessions / 2, "empty": 0})
		report := verifyFile(t, path)
		require.True(t, report.OK(), report)
		require.EqualValues(t, sessions+sessions/2, report.Sessions)
		require.Equal(t, &testHead, report.head)
	}
}

// Each of them is a database that bbolt opens and reads without complaint.
func TestVerifyFindsWhatBreaksTheRulesOfTheStore(t *testing.T) {
	t.Parallel()
	names := namesOf("shop")
	id := appendID(nil, sessionID(7))
	for _, broken := range []struct {
		name string
		by   func(t *testing.T, tx *bolt.Tx)
		want string
	}{
		{"no head", func(t *testing.T, tx *bolt.Tx) {
			require.NoError(t, tx.Bucket(metaBucket).Delete(headKey))
		}, "the file isn't a session store"},
		{"no meta bucket", func(t *testing.T, tx *bolt.Tx) { require.NoError(t, tx.DeleteBucket(metaBucket)) }, "the file isn't a session store"},
		{"a format from the future", func(t *testing.T, tx *bolt.Tx) {
			b := bytes.Clone(tx.Bucket(metaBucket).Get(headKey))
			b[0] = 99
			require.NoError(t, tx.Bucket(metaBucket).Put(headKey, b))
		}, "or its format is newer than this version"},
		{"a head that was changed by itself", func(t *testing.T, tx *bolt.Tx) {
			b := bytes.Clone(tx.Bucket(metaBucket).Get(headKey))
			b[1] ^= headOpen
			require.NoError(t, tx.Bucket(metaBucket).Put(headKey, b))
		}, "wrong checksum of the position in the log"},
		{"an unknown bucket", func(t *testing.T, tx *bolt.Tx) {
			_, err := tx.CreateBucket([]byte("zoo"))
			require.NoError(t, err)
		}, "a bucket that isn't of a session store"},
		{"a bucket among the sessions", func(t *testing.T, tx *bolt.Tx) {
			_, err := tx.Bucket(names.sessions).CreateBucket([]byte("b"))
			require.NoError(t, err)
		}, "an entry that isn't a session"},
		{"a key that is no ID", func(t *testing.T, tx *bolt.Tx) {
			require.NoError(t, tx.Bucket(names.sessions).Put([]byte{9, 9}, nil))
		}, "an entry that isn't a session"},
		{"an ID in another form than it is looked for in", func(t *testing.T, tx *bolt.Tx) {
			key := append([]byte{plainID}, sessionID(7)...)
			s := stored(tx.Bucket(names.sessions).Get(id))
			require.NoError(t, tx.Bucket(names.sessions).Put(key, makeStored(nil, "shop", key, s.due(), s.value())))
		}, "an entry that isn't a session"},
		{"a bit of a session", func(t *testing.T, tx *bolt.Tx) {
			b := bytes.Clone(tx.Bucket(names.sessions).Get(id))
			b[len(b)-3] ^= 4
			require.NoError(t, tx.Bucket(names.sessions).Put(id, b))
		}, "wrong checksum of a session"},
		{"a session under another app", func(t *testing.T, tx *bolt.Tx) {
			require.NoError(t, tx.Bucket(namesOf("").sessions).Put(id, tx.Bucket(names.sessions).Get(id)))
		}, "wrong checksum of a session"},
		{"a session under another ID", func(t *testing.T, tx *bolt.Tx) {
			s := tx.Bucket(names.sessions).Get(id)
			require.NoError(t, tx.Bucket(names.sessions).Put(appendID(nil, sessionID(8)), s))
		}, "wrong checksum of a session"},
		{"a session that is no record", func(t *testing.T, tx *bolt.Tx) {
			v := append(value(nil), stored(tx.Bucket(names.sessions).Get(id)).value()[:atVariable]...)
			require.NoError(t, tx.Bucket(names.sessions).Put(id, makeStored(nil, "shop", id, 0, append(v, 0xff))))
		}, "a session whose record is invalid, or newer than this version"},
		{"due after the expiry", func(t *testing.T, tx *bolt.Tx) {
			v := stored(tx.Bucket(names.sessions).Get(id)).value()
			require.NoError(t, tx.Bucket(names.sessions).Put(id, makeStored(nil, "shop", id, v.expiry()+1, v)))
		}, "a session that the index by expiry has after its expiry"},
		{"an entry without a session", func(t *testing.T, tx *bolt.Tx) {
			require.NoError(t, tx.Bucket(names.due).Put(dueKey(nil, 12345, id), nil))
		}, `the index by expiry of the app "`},
		{"an entry with something in it", func(t *testing.T, tx *bolt.Tx) {
			k, _ := tx.Bucket(names.users).Cursor().First()
			require.NoError(t, tx.Bucket(names.users).Put(bytes.Clone(k), []byte("x")))
		}, "an invalid entry of the index by user"},
		{"an index without a session bucket", func(t *testing.T, tx *bolt.Tx) {
			b, err := tx.CreateBucket(namesOf("other").seen)
			require.NoError(t, err)
			require.NoError(t, b.Put(seenKey(nil, 1, id), nil))
		}, `the index by activity of the app "`},
		{"an index that is missing", func(t *testing.T, tx *bolt.Tx) {
			require.NoError(t, tx.DeleteBucket(names.clients))
		}, "the index by client of the app \"shop\" doesn't match its sessions"},
		{"a session without an entry by expiry", loses(names.due), "the index by expiry of the app \"shop\" doesn't match its sessions"},
		{"a session without an entry by activity", loses(names.seen), "the index by activity of the app \"shop\" doesn't match its sessions"},
		{"a session without an entry by user", loses(names.users), "the index by user of the app \"shop\" doesn't match its sessions"},
		{"a session without an entry by client", loses(names.clients), "the index by client of the app \"shop\" doesn't match its sessions"},
	} {
		t.Run(broken.name, func(t *testing.T) {
			t.Parallel()
			path := writeDatabase(t, map[string]int{"": 5, "shop": 40})
			alter(t, path, func(tx *bolt.Tx) { broken.by(t, tx) })
			report := verifyFile(t, path)
			require.False(t, report.OK())
			require.Contains(t, report.String(), broken.want)
			require.Contains(t, report.String(), path)
			require.LessOrEqual(t, len(report.Problems), 1+len(indexNames), "one, and what follows from it")
		})
	}
}

// In the middle of a checkpoint the indexes are ahead of the sessions: that is no damage. Damage of a session still is.
func TestVerifyInTheMiddleOfACheckpoint(t *testing.T) {
	t.Parallel()
	path := writeDatabase(t, map[string]int{"": 40})
	key := appendID(nil, sessionID(7))
	alter(t, path, func(tx *bolt.Tx) {
		hd := testHead
		hd.midway = true
		require.NoError(t, hd.put(tx))
		require.NoError(t, tx.Bucket(namesOf("").users).Put(userKey(nil, []byte("new"), key), nil))
	})
	require.True(t, verifyFile(t, path).OK())
	alter(t, path, func(tx *bolt.Tx) {
		b := bytes.Clone(tx.Bucket(namesOf("").sessions).Get(key))
		b[60] ^= 1
		require.NoError(t, tx.Bucket(namesOf("").sessions).Put(key, b))
	})
	require.Contains(t, verifyFile(t, path).String(), errChecksum.Error())
}

// TestSoakG8_CheckFindsEveryFlippedBitThatMatters: whichever bit of a database is flipped, checking it
// ends, in this process, with a report; and if that finds no damage, the database has what it had.
// The pages are small, so that there are trees of some depth, and the freelist isn't empty.
func TestSoakG8_CheckFindsEveryFlippedBitThatMatters(t *testing.T) {
	t.Parallel()
	path := writeDatabase(t, map[string]int{"": 40, "shop": 60})
	alter(t, path, func(tx *bolt.Tx) { require.NoError(t, tx.DeleteBucket(namesOf("").sessions)) })
	alter(t, path, func(tx *bolt.Tx) {
		for _, name := range [][]byte{namesOf("").due, namesOf("").seen, namesOf("").users, namesOf("").clients} {
			require.NoError(t, tx.DeleteBucket(name))
		}
	})
	image, err := os.ReadFile(path)
	require.NoError(t, err)
	report := verifyFile(t, path)
	require.True(t, report.OK(), report)
	image = image[:usedPages(t, path)*testPageSize]
	want := contentOf(t, path)
	name := filepath.Join(fastDir(t), "flipped.db")
	stride := 193
	if soaking() {
		stride = 7
	}
	var damaged, harmless int
	for at := 0; at < len(image); at += stride { // a sample that has bytes of all fields
		bit := byte(1) << (at % 8)
		image[at] ^= bit
		require.NoError(t, os.WriteFile(name, image, fileMode))
		if verifyFile(t, name).OK() {
			harmless++
			require.Equal(t, want, contentOf(t, name), "byte %d, bit %#x", at, bit)
		} else {
			damaged++
		}
		image[at] ^= bit
	}
	t.Logf("%d bytes: %d flips are found, %d are harmless", len(image), damaged, harmless)
	require.Positive(t, min(damaged, harmless))
}

// TestG8_CheckOfDamagedPagesEnds: references between pages that make bbolt's own check read memory
// that isn't mapped, which kills the process, or go round in circles, are reported.
func TestG8_CheckOfDamagedPagesEnds(t *testing.T) {
	t.Parallel()
	path := writeDatabase(t, map[string]int{"": 200})
	image, err := os.ReadFile(path)
	require.NoError(t, err)
	name := filepath.Join(fastDir(t), "damaged.db")
	found := 0
	for page := 2; page < len(image)/testPageSize; page++ {
		b := image[page*testPageSize : (page+1)*testPageSize]
		if native.Uint16(b[8:]) != branchFlag || native.Uint64(b) != uint64(page) {
			continue
		}
		child := b[pageHeader+8 : pageHeader+16]
		before := native.Uint64(child)
		for _, reference := range []uint64{uint64(page), 0, 1, 1 << 20, 1 << 33, 1 << 40, ^uint64(0)} {
			native.PutUint64(child, reference)
			require.NoError(t, os.WriteFile(name, image, fileMode))
			require.False(t, verifyFile(t, name).OK(), "page %d refers to %d", page, reference)
			found++
		}
		native.PutUint64(child, before)
	}
	require.Greater(t, found, 20)
}

// TestG8_CheckFindsAFreeOverflowPage: the second page of a large session is in the list of free
// pages, where bbolt's own check doesn't notice it.
func TestG8_CheckFindsAFreeOverflowPage(t *testing.T) {
	t.Parallel()
	path := writeDatabase(t, map[string]int{"": 200})
	image, err := os.ReadFile(path)
	require.NoError(t, err)
	page := func(i int) []byte { return image[i*testPageSize:] }
	used, overflow := usedPages(t, path), 0
	for i := 2; i < used && overflow == 0; i++ {
		if p := page(i); native.Uint64(p) == uint64(i) && native.Uint16(p[8:]) == leafFlag && native.Uint32(p[12:]) > 0 {
			overflow = i + 1
		}
	}
	require.Positive(t, overflow)
	for i := 2; i < used; i++ {
		if p := page(i); native.Uint64(p) == uint64(i) && native.Uint16(p[8:]) == 0x10 {
			native.PutUint16(p[10:], 1)
			native.PutUint64(p[pageHeader:], uint64(overflow))
		}
	}
	require.NoError(t, os.WriteFile(path, image, fileMode))
	require.Contains(t, verifyFile(t, path).String(), "overlaps a free or another page")
}

// However much is wrong, only the beginning is listed.
func TestVerifyListsOnlyTheFirstProblems(t *testing.T) {
	t.Parallel()
	path := writeDatabase(t, map[string]int{"": 500})
	alter(t, path, func(tx *bolt.Tx) {
		b := tx.Bucket([]byte{sessionsBucket})
		for i := range 500 {
			key := appendID(nil, sessionID(i))
			s := bytes.Clone(b.Get(key))
			s[50] ^= 1
			require.NoError(t, b.Put(key, s))
		}
	})
	report := verifyFile(t, path)
	require.Len(t, report.Problems, maxProblems)
	require.Zero(t, report.Sessions)
}

// When one meta page is damaged bbolt uses the other one. Without either there is no database.
func TestVerifyOfDamagedMetaPages(t *testing.T) {
	t.Parallel()
	path := writeDatabase(t, map[string]int{"": 40})
	image, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, meta := range []int{0, 1} {
		image[meta*testPageSize+pageHeader+20] ^= 1
		require.NoError(t, os.WriteFile(path, image, fileMode))
		report := verifyFile(t, path)
		require.Equal(t, meta == 0, report.OK(), report)
	}
	require.Contains(t, verifyFile(t, path).String(), "byte 0: ")
}

func BenchmarkVerify(b *testing.B) {
	path := writePages(b, os.Getpagesize(), map[string]int{"": 50_000})
	b.ReportAllocs()
	for b.Loop() {
		require.True(b, verifyFile(b, path).OK())
		b.SetBytes(int64(usedPages(b, path) * os.Getpagesize()))
	}
}

var testHead = head{open: true, id: 77, log: 4096}

// writeDatabase makes a database with so many sessions of each app, without the store's own code for it.
func writeDatabase(t testing.TB, apps map[string]int) (path string) {
	t.Helper()
	return writePages(t, testPageSize, apps)
}

const testPageSize = 1024

func writePages(t testing.TB, pageSize int, apps map[string]int) (path string) {
	t.Helper()
	path = filepath.Join(fastDir(t), "sessions.db")
	db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: pageSize, NoSync: true, NoGrowSync: true})
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.Update(func(tx *bolt.Tx) error { return testHead.put(tx) }))
	for _, app := range sortedKeys(apps) {
		names := namesOf(app)
		require.NoError(t, db.Update(func(tx *bolt.Tx) error {
			buckets := make(map[string]*bolt.Bucket)
			for _, name := range [][]byte{names.sessions, names.due, names.seen, names.users, names.clients} {
				b, err := tx.CreateBucketIfNotExists(name)
				require.NoError(t, err)
				buckets[string(name)] = b
			}
			for i := range apps[app] {
				writeSession(t, buckets, names, app, sessionRecord(i))
			}
			return nil
		}))
	}
	return path
}

func writeSession(t testing.TB, buckets map[string]*bolt.Bucket, names bucketNames, app string, rec store.Record) {
	t.Helper()
	key, v := appendID(nil, rec.ID), makeValue(&rec)
	due := v.expiry()
	if due != never {
		due -= int64(len(rec.Data)) // it may come too early
		require.NoError(t, buckets[string(names.due)].Put(dueKey(nil, due, key), nil))
	}
	require.NoError(t, buckets[string(names.sessions)].Put(key, makeStored(nil, app, key, due, v)))
	require.NoError(t, buckets[string(names.seen)].Put(seenKey(nil, granuleOf(v.seen()), key), nil))
	user, client := v.owner()
	if len(user) > 0 {
		require.NoError(t, buckets[string(names.users)].Put(userKey(nil, user, key), nil))
	}
	if len(client) > 0 {
		require.NoError(t, buckets[string(names.clients)].Put(clientKey(nil, client, v.uuidClient(), key), nil))
	}
}

// sessionRecord returns the i-th of many different records.
func sessionRecord(i int) store.Record {
	rng := rand.New(rand.NewPCG(uint64(i), 5))
	created := time.Unix(1_700_000_000+int64(i)*7, 0).UTC()
	rec := store.Record{
		ID: sessionID(i), ClientID: sessionID(i + 1_000_000), UserAgent: "Mozilla/5.0", Addr: "192.0.2.1",
		Created: created, Seen: created.Add(time.Duration(rng.IntN(1e6)) * time.Second), Revision: uint64(i) + 1, Writes: 3,
		Idle: time.Hour, Lifetime: 24 * time.Hour, TokenGeneration: 1,
		Data: fmt.Appendf(nil, `{"n":%q}`, bytes.Repeat([]byte{'x'}, rng.IntN(100))),
	}
	rec.TokenHash[5], rec.WriteID[3] = byte(i), byte(i)
	if i%3 > 0 {
		rec.UserID = fmt.Sprintf("user %d", i/4)
	}
	if i%5 > 0 {
		rec.Expires = rec.Seen.Add(rec.Idle)
	}
	if i%7 == 0 {
		rec.ClientID = fmt.Sprintf("client-%d", i)
	}
	if i%50 == 7 {
		rec.Data = fmt.Appendf(nil, `{"long":%q}`, bytes.Repeat([]byte{'y'}, 9000))
	}
	return rec
}

func sessionID(i int) string {
	return fmt.Sprintf("%08x-aaaa-4aaa-8aaa-aaaaaaaaaaaa", uint32(i)*2654435761)
}

// loses makes a session lose its first entry in the bucket.
func loses(bucket []byte) func(t *testing.T, tx *bolt.Tx) {
	return func(t *testing.T, tx *bolt.Tx) {
		k, _ := tx.Bucket(bucket).Cursor().First()
		require.NoError(t, tx.Bucket(bucket).Delete(bytes.Clone(k)))
	}
}

func alter(t testing.TB, path string, by func(tx *bolt.Tx)) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoSync: true})
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		by(tx)
		return nil
	}))
}

func verifyFile(t testing.TB, path string) *Report {
	t.Helper()
	report, err := verifyDatabase(path)
	require.NoError(t, err)
	return report
}

// usedPages returns the number of pages that a database has used, behind which its file may go on.
func usedPages(t testing.TB, path string) int {
	t.Helper()
	db, err := bolt.Open(path, fileMode, &bolt.Options{ReadOnly: true})
	require.NoError(t, err)
	defer db.Close()
	tx, err := db.Begin(false)
	require.NoError(t, err)
	defer tx.Rollback() //nolint:errcheck // it was only read
	return int(tx.Size()) / db.Info().PageSize
}

// contentOf returns all entries of a database that was verified.
func contentOf(t testing.TB, path string) (content []string) {
	t.Helper()
	db, err := bolt.Open(path, fileMode, &bolt.Options{ReadOnly: true})
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error {
				content = append(content, fmt.Sprintf("%x %x %x", name, k, v))
				return nil
			})
		})
	}))
	return content
}
