package filestore

import (
	"encoding/binary"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
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
