package filestore

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// manyCrashes returns what is left in many power cuts.
func manyCrashes(d *crashDisk) []image {
	images := make([]image, 400)
	for i := range images {
		images[i] = d.crash(rand.New(rand.NewPCG(1, uint64(i))))
	}
	return images
}

// outcomes returns the different contents of the file after the crashes; "-" stands for no file.
func outcomes(images []image, name string) map[string]int {
	found := map[string]int{}
	for _, img := range images {
		c, ok := img[name]
		if !ok {
			found["-"]++
			continue
		}
		found[string(c.bytes(0, c.size))]++
	}
	return found
}

func openOn(t *testing.T, d *crashDisk, name string) file {
	t.Helper()
	f, err := d.Open(filepath.Join(d.dir, name))
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// seenIn returns what the process sees in the file.
func seenIn(t *testing.T, d *crashDisk, name string) string {
	t.Helper()
	img, err := d.current()
	require.NoError(t, err)
	return string(img[name].data)
}

func put(t *testing.T, f file, off int64, text string) {
	t.Helper()
	_, err := f.WriteAt([]byte(text), off)
	require.NoError(t, err)
}

func TestCrashDiskKeepsWhatWasSynced(t *testing.T) {
	d := newCrashDisk(t, fastDir(t), nil)
	f := openOn(t, d, "a")
	put(t, f, 0, "kept")
	require.NoError(t, f.Sync())
	require.NoError(t, d.SyncDir(d.dir))
	require.Equal(t, map[string]int{"kept": 400}, outcomes(manyCrashes(d), "a"))
}

func TestCrashDiskLosesWhatWasNotSynced(t *testing.T) {
	d := newCrashDisk(t, fastDir(t), image{"a": {[]byte("old"), 3}})
	f := openOn(t, d, "a")
	put(t, f, 0, "new")
	found := outcomes(manyCrashes(d), "a")
	require.Len(t, found, 2, "%v", found)
	require.Greater(t, found["old"], 40)
	require.Greater(t, found["new"], 40)
	require.Equal(t, "old", string(d.synced()["a"].data))
	require.Equal(t, "new", seenIn(t, d, "a"))
}

func TestCrashDiskLosesSectorsInAnyOrder(t *testing.T) {
	d := newCrashDisk(t, fastDir(t), image{"a": {make([]byte, 3*sector), 3 * sector}})
	f := openOn(t, d, "a")
	put(t, f, 0, string(bytes.Repeat([]byte{1}, 2*sector)))
	put(t, f, 2*sector, string(bytes.Repeat([]byte{1}, sector)))
	found := map[[3]byte]bool{}
	for _, img := range manyCrashes(d) {
		data := img["a"].data
		for s := range 3 {
			piece := data[s*sector : (s+1)*sector]
			require.Equal(t, bytes.Repeat(piece[:1], sector), piece, "a sector is whole")
		}
		found[[3]byte{data[0], data[sector], data[2*sector]}] = true
	}
	require.Len(t, found, 8, "every sector can land without the others: %v", found)
}

func TestCrashDiskWritesASectorBackAfterAnyChange(t *testing.T) {
	d := newCrashDisk(t, fastDir(t), image{"a": {[]byte("....."), 5}})
	f := openOn(t, d, "a")
	put(t, f, 0, "1")
	put(t, f, 4, "2")
	require.Equal(t, []string{".....", "1....", "1...2"}, sortedKeys(outcomes(manyCrashes(d), "a")),
		"a sector holds all that was written to it until it was written back")
}

func TestCrashDiskLosesTheSize(t *testing.T) {
	d := newCrashDisk(t, fastDir(t), image{"a": {[]byte("12345"), 5}})
	f := openOn(t, d, "a")
	require.NoError(t, f.Truncate(3))
	require.Equal(t, []string{"123", "12345"}, sortedKeys(outcomes(manyCrashes(d), "a")))
	require.NoError(t, f.Sync())
	require.NoError(t, f.Truncate(6))
	require.Equal(t, []string{"123", "123\x00\x00\x00"}, sortedKeys(outcomes(manyCrashes(d), "a")))
}

func TestCrashDiskLosesNames(t *testing.T) {
	d := newCrashDisk(t, fastDir(t), image{"a": {[]byte("a"), 1}, "b": {[]byte("b"), 1}})
	in := func(name string) string { return filepath.Join(d.dir, name) }
	require.NoError(t, d.Rename(in("b"), in("a")))
	images := manyCrashes(d)
	require.Equal(t, []string{"a", "b"}, sortedKeys(outcomes(images, "a")))
	for _, img := range images {
		require.Equal(t, string(img["a"].data) == "b", len(img) == 1, "a rename is whole: %v", img)
	}
	f := openOn(t, d, "c")
	require.NoError(t, f.Sync())
	require.NoError(t, d.Remove(in("a")))
	images = manyCrashes(d)
	require.Equal(t, []string{"", "-"}, sortedKeys(outcomes(images, "c")), "a file's sync doesn't keep its name")
	require.Equal(t, []string{"-", "a", "b"}, sortedKeys(outcomes(images, "a")))
	require.NoError(t, d.SyncDir(d.dir))
	images = manyCrashes(d)
	require.Equal(t, map[string]int{"": 400}, outcomes(images, "c"))
	require.Equal(t, map[string]int{"-": 400}, outcomes(images, "a"))
}

func TestCrashDiskThatLiesKeepsNothing(t *testing.T) {
	d := newCrashDisk(t, fastDir(t), nil)
	d.lies = true
	f := openOn(t, d, "a")
	put(t, f, 0, "x")
	require.NoError(t, f.Sync())
	require.NoError(t, d.SyncDir(d.dir))
	require.Equal(t, []string{"", "\x00", "-", "x"}, sortedKeys(outcomes(manyCrashes(d), "a")), "the size alone may have been written, too")
}

func TestCrashDiskGoesDown(t *testing.T) {
	d := newCrashDisk(t, fastDir(t), nil)
	f := openOn(t, d, "a")
	d.cutAt(2, 0.5)
	put(t, f, 0, "ab")
	n, err := f.WriteAt([]byte("cdef"), 2)
	require.ErrorIs(t, err, errPowerCut)
	require.Equal(t, 2, n, "half of it was written")
	require.True(t, d.isDown())
	for name, err := range map[string]error{
		"sync": f.Sync(), "truncate": f.Truncate(0), "remove": d.Remove(d.path()), "rename": d.Rename(d.path(), d.path()),
		"sync folder": d.SyncDir(d.dir), "open": func() error { _, err := d.Open(d.path()); return err }(),
	} {
		require.ErrorIs(t, err, errPowerCut, name)
	}
	require.Equal(t, "abcd", seenIn(t, d, "a"))
	d.restart()
	require.NoError(t, f.Sync())
}

func TestCrashDiskFailsTheNth(t *testing.T) {
	d := newCrashDisk(t, fastDir(t), nil)
	d.fault = &fault{op: opWrite, nth: 2, err: errFull, short: 0.5}
	f := openOn(t, d, "a")
	put(t, f, 0, "ab")
	n, err := f.WriteAt([]byte("cd"), 2)
	require.ErrorIs(t, err, errFull)
	require.Equal(t, 1, n)
	put(t, f, 3, "d")
	require.Equal(t, "abcd", seenIn(t, d, "a"), "one fails only")

	d.fault = &fault{op: opSync, nth: 1, err: errIO}
	require.ErrorIs(t, f.Sync(), errIO)
	require.NoError(t, f.Sync())
	require.NoError(t, d.SyncDir(d.dir))
	require.Equal(t, map[string]int{"": 400}, outcomes(manyCrashes(d), "a"), "what a sync has failed to write, the next may not")
}

// TestCrashDiskSeesWhatBoltWrites: after every commit, what a power cut leaves is the database before the commit that it
// interrupted, or after it.
func TestCrashDiskSeesWhatBoltWrites(t *testing.T) {
	var found [2]int
	for cut := 1; ; cut++ {
		d := newCrashDisk(t, fastDir(t), nil)
		d.cutAt(cut, 0.3)
		committed := commitUntilDown(t, d, 12)
		if committed < 0 {
			require.Greater(t, cut, 12*4, "a commit writes pages, syncs, writes the meta page, syncs")
			break
		}
		for i := range 4 {
			held := heldBy(t, d.crash(rand.New(rand.NewPCG(uint64(cut), uint64(i)))))
			require.Contains(t, []int{committed, committed + 1}, held, "cut at %d:\n%s", cut, d.tail(20))
			found[held-committed]++
		}
	}
	require.Positive(t, found[0])
	require.Positive(t, found[1])
}

// commitUntilDown commits so often, and returns how often it did before the disk went down; -1: it didn't go down.
func commitUntilDown(t *testing.T, d *crashDisk, commits int) int {
	t.Helper()
	db, err := d.Database(d.path(), nil)
	if err != nil {
		require.ErrorIs(t, err, errPowerCut)
		return 0
	}
	defer db.Close()
	if err := d.SyncDir(d.dir); err != nil {
		return 0
	}
	for i := range commits {
		if err := commitOne(d, db, i); err != nil {
			require.ErrorIs(t, err, errPowerCut)
			return i
		}
	}
	return -1
}

func commitOne(d *crashDisk, db *bolt.DB, i int) error {
	tx, err := db.Begin(true)
	if err != nil {
		return err
	}
	b, err := tx.CreateBucketIfNotExists([]byte("b"))
	if err == nil {
		err = b.Put(fmt.Appendf(nil, "%03d", i), bytes.Repeat([]byte{byte(i)}, 1500))
	}
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return d.Commit(tx)
}

// heldBy returns how many commits the database in the image holds, after making sure that it is sound.
func heldBy(t *testing.T, img image) (n int) {
	t.Helper()
	if img[storeName].size == 0 {
		return 0
	}
	dir := fastDir(t)
	require.NoError(t, img.save(dir))
	db, err := bolt.Open(filepath.Join(dir, storeName), fileMode, nil)
	if errors.Is(err, bolterrors.ErrInvalid) { //nolint:staticcheck // the cut came before the first sync of its first pages
		return 0
	}
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			require.NoError(t, err)
		}
		if b := tx.Bucket([]byte("b")); b != nil {
			return b.ForEach(func(k, v []byte) error {
				require.Equal(t, fmt.Sprintf("%03d", n), string(k))
				require.Equal(t, bytes.Repeat([]byte{byte(n)}, 1500), v)
				n++
				return nil
			})
		}
		return nil
	}))
	return n
}
