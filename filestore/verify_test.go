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
		report, err := verifyFile(t, path)
		require.NoError(t, err)
		require.Empty(t, report.problems.list)
		require.EqualValues(t, sessions+sessions/2, report.sessions)
		require.Equal(t, &testHead, report.head)
		require.Zero(t, report.wasted)
		require.NoError(t, report.spare)
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
		}, "it isn't a session store"},
		{"no meta bucket", func(t *testing.T, tx *bolt.Tx) { require.NoError(t, tx.DeleteBucket(metaBucket)) }, "it isn't a session store"},
		{"a format from the future", func(t *testing.T, tx *bolt.Tx) {
			b := bytes.Clone(tx.Bucket(metaBucket).Get(headKey))
			b[0] = 99
			require.NoError(t, tx.Bucket(metaBucket).Put(headKey, b))
		}, "of a version that this one doesn't know"},
		{"a head that was changed by itself", func(t *testing.T, tx *bolt.Tx) {
			b := bytes.Clone(tx.Bucket(metaBucket).Get(headKey))
			b[1] ^= headOpen
			require.NoError(t, tx.Bucket(metaBucket).Put(headKey, b))
		}, "how far the log counts is wrong"},
		{"an unknown bucket", func(t *testing.T, tx *bolt.Tx) {
			_, err := tx.CreateBucket([]byte("zoo"))
			require.NoError(t, err)
		}, "a bucket that a session store doesn't have"},
		{"a bucket among the sessions", func(t *testing.T, tx *bolt.Tx) {
			_, err := tx.Bucket(names.sessions).CreateBucket([]byte("b"))
			require.NoError(t, err)
		}, "a bucket where a session should be"},
		{"a key that is no ID", func(t *testing.T, tx *bolt.Tx) {
			require.NoError(t, tx.Bucket(names.sessions).Put([]byte{9, 9}, nil))
		}, "this isn't the ID of a session"},
		{"an ID in another form than it is looked for in", func(t *testing.T, tx *bolt.Tx) {
			key := append([]byte{plainID}, sessionID(7)...)
			s := stored(tx.Bucket(names.sessions).Get(id))
			require.NoError(t, tx.Bucket(names.sessions).Put(key, makeStored(nil, "shop", key, s.due(), s.value())))
		}, "this isn't the ID of a session"},
		{"a bit of a session", func(t *testing.T, tx *bolt.Tx) {
			b := bytes.Clone(tx.Bucket(names.sessions).Get(id))
			b[len(b)-3] ^= 4
			require.NoError(t, tx.Bucket(names.sessions).Put(id, b))
		}, "the checksum of a session is wrong"},
		{"a session under another app", func(t *testing.T, tx *bolt.Tx) {
			require.NoError(t, tx.Bucket(namesOf("").sessions).Put(id, tx.Bucket(names.sessions).Get(id)))
		}, "the checksum of a session is wrong"},
		{"a session under another ID", func(t *testing.T, tx *bolt.Tx) {
			s := tx.Bucket(names.sessions).Get(id)
			require.NoError(t, tx.Bucket(names.sessions).Put(appendID(nil, sessionID(8)), s))
		}, "the checksum of a session is wrong"},
		{"a session that is no record", func(t *testing.T, tx *bolt.Tx) {
			v := append(value(nil), stored(tx.Bucket(names.sessions).Get(id)).value()[:atVariable]...)
			require.NoError(t, tx.Bucket(names.sessions).Put(id, makeStored(nil, "shop", id, 0, append(v, 0xff))))
		}, "a session isn't a record that this version can read"},
		{"due after the expiry", func(t *testing.T, tx *bolt.Tx) {
			v := stored(tx.Bucket(names.sessions).Get(id)).value()
			require.NoError(t, tx.Bucket(names.sessions).Put(id, makeStored(nil, "shop", id, v.expiry()+1, v)))
		}, "by its expiry when it has already expired"},
		{"an entry without a session", func(t *testing.T, tx *bolt.Tx) {
			require.NoError(t, tx.Bucket(names.due).Put(dueKey(nil, 12345, id), nil))
		}, "the first of 1 entries of the index by expiry that no session has"},
		{"an entry with something in it", func(t *testing.T, tx *bolt.Tx) {
			k, _ := tx.Bucket(names.users).Cursor().First()
			require.NoError(t, tx.Bucket(names.users).Put(bytes.Clone(k), []byte("x")))
		}, "this isn't an entry of the index by user"},
		{"an index without a session bucket", func(t *testing.T, tx *bolt.Tx) {
			b, err := tx.CreateBucket(namesOf("other").seen)
			require.NoError(t, err)
			require.NoError(t, b.Put(seenKey(nil, 1, id), nil))
		}, "the first of 1 entries of the index by activity that no session has"},
		{"an index that is missing", func(t *testing.T, tx *bolt.Tx) {
			require.NoError(t, tx.DeleteBucket(names.clients))
		}, "sessions that aren't in the index by client"},
		{"a session without an entry by expiry", loses(names.due), "the first of 1 sessions that aren't in the index by expiry"},
		{"a session without an entry by activity", loses(names.seen), "the first of 1 sessions that aren't in the index by activity"},
		{"a session without an entry by user", loses(names.users), "the first of 1 sessions that aren't in the index by user"},
		{"a session without an entry by client", loses(names.clients), "the first of 1 sessions that aren't in the index by client"},
	} {
		t.Run(broken.name, func(t *testing.T) {
			t.Parallel()
			path := writeDatabase(t, map[string]int{"": 5, "shop": 40})
			alter(t, path, func(tx *bolt.Tx) { broken.by(t, tx) })
			report, err := verifyFile(t, path)
			require.ErrorIs(t, err, ErrDamaged)
			require.ErrorContains(t, err, broken.want)
			require.ErrorContains(t, err, path)
			require.LessOrEqual(t, len(report.problems.list), 1+indexes, "one, and what follows from it")
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
	_, err := verifyFile(t, path)
	require.NoError(t, err)
	alter(t, path, func(tx *bolt.Tx) {
		b := bytes.Clone(tx.Bucket(namesOf("").sessions).Get(key))
		b[60] ^= 1
		require.NoError(t, tx.Bucket(namesOf("").sessions).Put(key, b))
	})
	_, err = verifyFile(t, path)
	require.ErrorContains(t, err, errChecksum.Error())
}

// A bit that is flipped anywhere is found, or nobody reads it.
func TestVerifyFindsEveryFlippedBitThatMatters(t *testing.T) {
	t.Parallel()
	path := writeDatabase(t, map[string]int{"": 3, "shop": 9})
	image, err := os.ReadFile(path)
	require.NoError(t, err)
	_, _, f := readImage(t, image)
	image = image[:int64(f.end)*f.pageSize]
	want, problems, _ := readImage(t, image)
	require.Empty(t, problems)
	found := 0
	for at := 2 * testPageSize; at < len(image); at += 11 { // a sample, that has bytes of all fields
		bit := byte(1) << (at % 8)
		image[at] ^= bit
		report, err := verifyImage(image)
		if err == nil {
			got, _, _ := readImage(t, image)
			require.Equal(t, want, got, "byte %d, bit %#x", at, bit)
		} else {
			found++
			require.NotEmpty(t, report.problems.list)
		}
		image[at] ^= bit
	}
	require.Greater(t, found, 500)
}

// What is wrong is counted in full, however much it is, and only the beginning is listed.
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
	report, err := verifyFile(t, path)
	require.ErrorIs(t, err, ErrDamaged)
	require.Len(t, report.problems.list, maxProblems)
	require.EqualValues(t, 500+indexes, maxProblems+report.problems.more)
	require.Zero(t, report.sessions)
}

// When the newer of the two metas can't be used, the older one is: that is said, because it isn't what was written last.
func TestVerifySaysWhichMetaIsUsed(t *testing.T) {
	t.Parallel()
	path := writeDatabase(t, map[string]int{"": 40})
	image, err := os.ReadFile(path)
	require.NoError(t, err)
	report, err := verifyImage(image)
	require.NoError(t, err)
	newer := report.meta
	image[newer*testPageSize+pageHeader+20] ^= 1

	report, err = verifyImage(image)
	require.NoError(t, err)
	require.Equal(t, 1-newer, report.meta)
	require.Error(t, report.spare)

	image[(1-newer)*testPageSize+pageHeader+40] ^= 1
	_, err = verifyImage(image)
	require.ErrorIs(t, err, ErrDamaged)
	require.ErrorContains(t, err, "at byte 0")
	require.ErrorContains(t, err, "neither meta page can be used")
}

func TestVerifyTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	path := writeDatabase(t, map[string]int{"": 40})
	image, err := os.ReadFile(path)
	require.NoError(t, err)
	var last Progress
	_, err = verifyDatabase(bytes.NewReader(image), int64(len(image)), "x", func(p Progress) { last = p })
	require.NoError(t, err)
	require.Positive(t, last.Total)
	require.Equal(t, last.Total, last.Done)
}

func BenchmarkVerify(b *testing.B) {
	path := writePages(b, os.Getpagesize(), map[string]int{"": 50_000})
	f, err := os.Open(path)
	require.NoError(b, err)
	defer f.Close()
	info, err := f.Stat()
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		report, err := verifyDatabase(f, info.Size(), path, func(Progress) {})
		require.NoError(b, err)
		b.SetBytes((report.pages - report.free) * int64(os.Getpagesize()))
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
	path = filepath.Join(t.TempDir(), "sessions.db")
	db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: pageSize, NoSync: true, NoGrowSync: true})
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.Update(func(tx *bolt.Tx) error { return testHead.put(tx) }))
	for _, app := range inOrder(apps) {
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

func verifyFile(t testing.TB, path string) (*databaseReport, error) {
	t.Helper()
	image, err := os.ReadFile(path)
	require.NoError(t, err)
	return verifyDatabase(bytes.NewReader(image), int64(len(image)), path, func(Progress) {})
}

func verifyImage(image []byte) (*databaseReport, error) {
	return verifyDatabase(bytes.NewReader(image), int64(len(image)), "image", func(Progress) {})
}
