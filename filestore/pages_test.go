package filestore

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
)

// What bbolt has written is read as bbolt reads it, and found to be undamaged.
func TestPagesReadsWhatTheDatabaseHas(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 1))
			path := filepath.Join(t.TempDir(), "random.db")
			db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: 1024 << rng.IntN(4), NoSync: true})
			require.NoError(t, err)
			defer db.Close()
			for range 40 {
				changeAtRandom(t, db, rng)
				requireSameContent(t, db, path)
			}
		})
	}
}

// A copy that bbolt makes of a database in use has its metas in another order than a database has.
func TestPagesReadsABackup(t *testing.T) {
	t.Parallel()
	path, backup := filepath.Join(t.TempDir(), "a.db"), filepath.Join(t.TempDir(), "b.db")
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoSync: true})
	require.NoError(t, err)
	defer db.Close()
	rng := rand.New(rand.NewPCG(1, 1))
	for range 4 {
		changeAtRandom(t, db, rng)
		require.NoError(t, db.View(func(tx *bolt.Tx) error { return tx.CopyFile(backup, 0o600) }))
		content, problems, _ := readContent(t, backup)
		require.Empty(t, problems)
		require.Equal(t, databaseContent(t, db), content)
	}
}

// The freelist has another form when there are 65535 free pages or more.
func TestPagesReadsAVeryLongFreelist(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "long.db")
	db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: 1024, NoSync: true})
	require.NoError(t, err)
	defer db.Close()
	update := func(fn func(*bolt.Bucket) error) {
		require.NoError(t, db.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("b"))
			require.NoError(t, err)
			return fn(b)
		}))
	}
	update(func(b *bolt.Bucket) error { return b.Put([]byte("large"), make([]byte, 70<<20)) })
	update(func(b *bolt.Bucket) error { return b.Delete([]byte("large")) })
	update(func(b *bolt.Bucket) error { return b.Put([]byte("small"), nil) })

	_, problems, f := readContent(t, path)
	require.Empty(t, problems)
	require.Greater(t, f.freePages, uint64(allInFirst))
	requireSameContent(t, db, path)
}

// Whichever bit of the database's structure is wrong is reported, or makes no difference to what is read. What the
// entries themselves hold is the business of whoever stored it.
func TestPagesFindsEveryFlippedBitOfTheStructure(t *testing.T) {
	t.Parallel()
	image := smallDatabase(t)
	want, problems, _ := readImage(t, image)
	require.Empty(t, problems)
	data := leafData(t, image)
	for at := 0; at < len(image); at += 5 { // a sample, that has bytes of all fields
		if data[at] {
			continue
		}
		bit := byte(1) << (at % 8) // each of the eight of them, in turn
		image[at] ^= bit
		got, problems, f := readImage(t, image)
		if len(problems) == 0 && f.spare == nil {
			require.Equal(t, want, got, "byte %d, bit %#x", at, bit)
		}
		image[at] ^= bit
	}
}

// Wherever the file is cut off, that is reported; what is in front of it is still read.
func TestPagesOfAFileThatIsCutOff(t *testing.T) {
	t.Parallel()
	image := smallDatabase(t)
	whole, _, f := readImage(t, image)
	used := int(f.end) * int(f.pageSize)
	for _, length := range []int{used - 1, used - 1024, used / 2, 4 * 1024, 2*1024 + 100} {
		got, problems, _ := readImage(t, image[:length])
		require.NotEmpty(t, problems, length)
		for _, line := range got {
			require.Contains(t, whole, line)
		}
	}
	for _, length := range []int{0, 10, 70} {
		_, err := openPages(bytes.NewReader(image[:length]), int64(length), func(int64, string) {})
		require.ErrorContains(t, err, "neither meta page can be used")
	}
}

// Whatever the file is, reading it ends, without a panic.
func FuzzPages(f *testing.F) {
	image, err := os.ReadFile(writeDatabase(f, map[string]int{"": 9, "shop": 3}))
	require.NoError(f, err)
	f.Add(uint64(0), uint64(0), []byte{})
	f.Add(uint64(2*1024+8), uint64(1), []byte{0xff, 0xff, 0xff, 0xff})
	f.Add(uint64(5*1024), uint64(3), []byte{5, 0, 0, 0, 0, 0, 0, 0, 1, 0})
	f.Add(uint64(8*1024+12), uint64(9), bytes.Repeat([]byte{0xff}, 64))
	f.Fuzz(func(t *testing.T, at, cut uint64, with []byte) {
		b := bytes.Clone(image)
		copy(b[at%uint64(len(b)):], with)
		b = b[:uint64(len(b))-cut%uint64(len(b))]
		for i := range 2 { // so that the metas are looked behind
			if meta := b[min(i*1024+pageHeader, len(b)):]; len(meta) >= metaSize {
				native.PutUint64(meta[metaSumAt:], metaSum(meta))
			}
		}
		_, _, _ = tryImage(b)
		_, _, _ = tryImage(with)
		_, _ = verifyImage(b)
	})
}

// changeAtRandom commits a transaction: puts, deletes, large values, buckets in buckets, and buckets that go.
func changeAtRandom(t testing.TB, db *bolt.DB, rng *rand.Rand) {
	t.Helper()
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		if rng.IntN(4) == 0 {
			err := tx.DeleteBucket(fmt.Appendf(nil, "bucket %d", rng.IntN(40)))
			if err != nil {
				require.ErrorContains(t, err, "not found")
			}
		}
		for range rng.IntN(4) {
			b, err := tx.CreateBucketIfNotExists(fmt.Appendf(nil, "bucket %d", rng.IntN(40)))
			require.NoError(t, err)
			if rng.IntN(4) == 0 {
				b, err = b.CreateBucketIfNotExists([]byte("\xffinner"))
				require.NoError(t, err)
			}
			from := rng.IntN(1000)
			for i := range rng.IntN(300) {
				key := fmt.Appendf(nil, "key %d", (from+i*rng.IntN(3))%1000)
				size := rng.IntN(60)
				if rng.IntN(100) == 0 {
					size = rng.IntN(20_000)
				}
				if rng.IntN(3) == 0 {
					require.NoError(t, b.Delete(key))
				} else {
					require.NoError(t, b.Put(key, bytes.Repeat([]byte{byte(size)}, size)))
				}
			}
		}
		return nil
	}))
}

func requireSameContent(t testing.TB, db *bolt.DB, path string) {
	t.Helper()
	got, problems, f := readContent(t, path)
	require.Empty(t, problems)
	require.Equal(t, databaseContent(t, db), got)
	require.NoError(t, f.spare)
	stats := db.Stats()
	require.EqualValues(t, stats.FreePageN+stats.PendingPageN, f.freePages)
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			return err
		}
		return nil
	}))
}

// databaseContent lists every entry, with the buckets that it is in.
func databaseContent(t testing.TB, db *bolt.DB) (lines []string) {
	t.Helper()
	var list func(path string, b *bolt.Bucket)
	list = func(path string, b *bolt.Bucket) {
		require.NoError(t, b.ForEach(func(k, v []byte) error {
			lines = append(lines, contentLine(path, k, v, v == nil))
			return nil
		}))
		require.NoError(t, b.ForEachBucket(func(k []byte) error {
			list(contentLine(path, k, nil, true), b.Bucket(k))
			return nil
		}))
	}
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		list("", tx.Cursor().Bucket())
		return nil
	}))
	return lines
}

func contentLine(path string, key, value []byte, bucket bool) string {
	if bucket {
		return fmt.Sprintf("%s/%q", path, key)
	}
	return fmt.Sprintf("%s/%q: %d bytes, %x", path, key, len(value), crc32.ChecksumIEEE(value))
}

func readContent(t testing.TB, path string) (lines, problems []string, f *pageFile) {
	t.Helper()
	image, err := os.ReadFile(path)
	require.NoError(t, err)
	lines, problems, f = readImage(t, image)
	return lines, problems, f
}

func readImage(t testing.TB, image []byte) (lines, problems []string, f *pageFile) {
	t.Helper()
	lines, problems, f = tryImage(image)
	require.NotNil(t, f)
	return lines, problems, f
}

// tryImage is databaseContent by the reader of pages; f is nil if there is no meta.
func tryImage(image []byte) (lines, problems []string, f *pageFile) {
	report := func(offset int64, what string) { problems = append(problems, fmt.Sprintf("%d: %s", offset, what)) }
	f, err := openPages(bytes.NewReader(image), int64(len(image)), report)
	if err != nil {
		return nil, nil, nil
	}
	w := f.walk(report, func() {})
	var list func(path string, root bucketRoot)
	list = func(path string, root bucketRoot) {
		type found struct {
			path string
			root bucketRoot
		}
		var after []found
		w.bucket(root, func(e element) {
			lines = append(lines, contentLine(path, e.key, e.value, e.bucket))
			if !e.bucket {
				return
			}
			inner, ok := rootOf(e)
			if !ok {
				report(e.offset, "not a bucket")
				return
			}
			after = append(after, found{contentLine(path, e.key, nil, true), inner})
		})
		for _, inner := range after {
			list(inner.path, inner.root)
		}
	}
	list("", bucketRoot{page: f.root})
	if n := w.wasted(); n > 0 {
		report(0, fmt.Sprintf("%d pages are wasted", n))
	}
	return lines, problems, f
}

// smallDatabase returns a database with branches, pages that overflow, buckets inside their entries and free pages.
func smallDatabase(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "small.db")
	db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: 1024, NoSync: true, NoGrowSync: true})
	require.NoError(t, err)
	defer db.Close()
	for round := range 2 {
		require.NoError(t, db.Update(func(tx *bolt.Tx) error {
			for i := range 3 {
				b, err := tx.CreateBucketIfNotExists([]byte{'a' + byte(i)})
				require.NoError(t, err)
				for j := range []int{3, 30, 3}[i] {
					require.NoError(t, b.Put(fmt.Appendf(nil, "key %02d", j), bytes.Repeat([]byte{byte(j)}, 40+round)))
				}
				if i == 2 {
					require.NoError(t, b.Put([]byte("large"), make([]byte, 2500)))
				}
			}
			return nil
		}))
	}
	image, err := os.ReadFile(path)
	require.NoError(t, err)
	_, _, f := readImage(t, image)
	return image[:int(f.end)*int(f.pageSize)]
}

// leafData tells which bytes are keys and values of the buckets: of those the structure says nothing.
func leafData(t testing.TB, image []byte) []bool {
	t.Helper()
	data := make([]bool, len(image))
	f, err := openPages(bytes.NewReader(image), int64(len(image)), func(int64, string) {})
	require.NoError(t, err)
	w := f.walk(func(int64, string) {}, func() {})
	var roots []bucketRoot
	w.bucket(bucketRoot{page: f.root}, func(e element) {
		root, ok := rootOf(e)
		require.True(t, ok)
		roots = append(roots, root)
		for i := range e.key {
			data[e.offset+int64(i)] = true
		}
		for i := range 8 { // the sequence
			data[e.offset+int64(len(e.key))+8+int64(i)] = true
		}
	})
	for _, root := range roots {
		w.bucket(root, func(e element) {
			for i := range len(e.key) + len(e.value) {
				data[e.offset+int64(i)] = true
			}
		})
	}
	// Whether an entry is a bucket, and how long the last one of a page is, only its table says.
	size := int(f.pageSize)
	for page := 0; page+size <= len(image); page += size {
		h := parseHeader(image[page:])
		if h.flags != leafFlag || h.id != uint64(page/size) {
			continue
		}
		for i := range h.count {
			data[page+pageHeader+i*elementSize] = true
		}
		for i := 8; i < elementSize; i++ {
			data[page+pageHeader+(h.count-1)*elementSize+i] = true
		}
	}
	return data
}
