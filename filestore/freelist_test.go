package filestore

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/sessionbridge/sessionbridge/store"
)

// TestG8_DamagedListOfFreePagesIsRefused: bbolt trusts the list when it writes, so Open refuses a
// damaged one before anything is written.
func TestG8_DamagedListOfFreePagesIsRefused(t *testing.T) {
	t.Parallel()
	img := closedImage(t)
	at, ids := listOfFreePages(t, img)
	require.Positive(t, ids)
	d := &damage{t: t, img: img, random: rand.New(rand.NewPCG(1, 0))}
	require.Len(t, d.open(img, "as it was"), 30)
	for what, off := range map[string]int64{
		"an ID beyond the end":              at + pageHeader + 3,
		"an ID far beyond the end":          at + pageHeader + 6,
		"a list over the end":               at + 14,
		"a list over pages that are in use": at + 12,
	} {
		for _, bit := range []byte{1, 2, 64} {
			require.Nil(t, d.open(d.flipped(storeName, off, bit), "%s: bit %d of byte %d", what, bit, off), what)
		}
	}
	// The list may also overlap a page that it names itself.
	moved := func(overflow uint32) image {
		return d.with(storeName, func(c *content) { moveList(c, at, ids, overflow) })
	}
	require.Len(t, d.open(moved(0), "a list in a page of its own, before a free page"), 30)
	require.Nil(t, d.open(moved(1), "a list that extends over a free page"))
}

// TestG8_SessionsThatLookLikeAListOfFreePages: what a page holds behind its first part, which goes
// on from the page before, may look like the header of any page. Such a database isn't damaged.
func TestG8_SessionsThatLookLikeAListOfFreePages(t *testing.T) {
	t.Parallel()
	for name, pattern := range map[string][]byte{
		"a list of one page":   {listFlag, 0, 0, 0, 0, 0, 0, 0},
		"a list of many pages": {listFlag, 0},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), storeName)
			st, err := Open(path, nil)
			require.NoError(t, err)
			var data []byte
			for range pattern { // one of them has the flag where a page has it
				data = append(data, bytes.Repeat(pattern, 2*os.Getpagesize()/len(pattern))...)
				data = append(data, 0)
			}
			_, err = st.Set(t.Context(), store.Record{ID: "large", Data: data})
			require.NoError(t, err)
			require.NoError(t, st.Close())
			require.Greater(t, pagesOfType(t, path, "freelist"), 1, "a page of a session looks like the list")

			report, err := Check(path)
			require.NoError(t, err)
			require.True(t, report.OK(), report)
			st, err = Open(path, nil)
			require.NoError(t, err)
			require.NoError(t, st.Close())
		})
	}
}

// pagesOfType returns the number of pages that bbolt takes for pages of the type.
func pagesOfType(t *testing.T, path, kind string) (n int) {
	t.Helper()
	db, err := bolt.Open(path, 0, &bolt.Options{ReadOnly: true, PreLoadFreelist: true})
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		for id := range int(tx.Size()) / db.Info().PageSize {
			info, err := tx.Page(id)
			require.NoError(t, err)
			if info.Type == kind {
				n++
			}
		}
		return nil
	}))
	return n
}

const listFlag = 0x10 // of a page that has the list of free pages

// moveList moves the list of free pages, and gives it the overflow. Its page and the free page that
// follows are new, at the end of the database.
func moveList(c *content, at int64, ids int, overflow uint32) {
	native, size := binary.NativeEndian, int64(os.Getpagesize())
	const (
		metaTx  = pageHeader + 48 // of a meta page; before it are the page of the list and the number of pages
		metaSum = metaTx + 8
	)
	meta := int64(0) // the page of the current one
	if native.Uint64(c.bytes(size+metaTx, 8)) > native.Uint64(c.bytes(metaTx, 8)) {
		meta = size
	}
	list := native.Uint64(c.bytes(meta+metaTx-8, 8))
	free := []uint64{uint64(at / size), list + 1}
	for i := range ids {
		free = append(free, native.Uint64(c.bytes(at+pageHeader+8*int64(i), 8)))
	}
	slices.Sort(free)
	page := native.AppendUint64(nil, list)
	page = native.AppendUint16(page, listFlag)
	page = native.AppendUint16(page, uint16(len(free)))
	page = native.AppendUint32(page, overflow)
	for _, id := range free {
		page = native.AppendUint64(page, id)
	}
	c.resize(max(c.size, int64(list+2)*size))
	c.write(int64(list)*size, page)
	c.write(meta+metaTx-16, native.AppendUint64(native.AppendUint64(nil, list), list+2))
	sum := fnv.New64a()
	_, _ = sum.Write(c.bytes(meta+pageHeader, metaSum-pageHeader))
	c.write(meta+metaSum, native.AppendUint64(nil, sum.Sum64()))
}

// listOfFreePages returns the offset of the page with the list, and the number of its IDs.
func listOfFreePages(t *testing.T, img image) (at int64, ids int) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, img.save(dir))
	db, err := bolt.Open(filepath.Join(dir, storeName), 0, &bolt.Options{ReadOnly: true, PreLoadFreelist: true})
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		size := int64(db.Info().PageSize)
		for id := range tx.Size() / size {
			if info, err := tx.Page(int(id)); err != nil || info.Type == "freelist" {
				at = id * size
				return err
			}
		}
		return nil
	}))
	require.Positive(t, at)
	return at, int(binary.NativeEndian.Uint16(img[storeName].data[at+10:]))
}
