package filestore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	bolt "go.etcd.io/bbolt"

	"github.com/sessionbridge/sessionbridge/filestore/internal/wal"
)

// head is the state of the database: one value in a bucket of its own.
type head struct {
	open   bool // the log was begun, and the store wasn't closed since
	midway bool // a checkpoint has begun: the indexes may be ahead of the sessions until the log is replayed
	id     wal.ID
	log    wal.Position // the database has all changes that the log has before it
}

const (
	headFormat = 1
	headOpen   = 1
	headMidway = 2
	headSize   = 1 + 1 + 8 + 8 + 4 // format, flags, ID, position, checksum
)

var (
	metaBucket = []byte("meta")
	headKey    = []byte("head")
)

func (hd head) put(tx *bolt.Tx) error {
	bucket, err := tx.CreateBucketIfNotExists(metaBucket)
	if err != nil {
		return err
	}
	b := append(make([]byte, 0, headSize), headFormat, 0)
	if hd.open {
		b[1] |= headOpen
	}
	if hd.midway {
		b[1] |= headMidway
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(hd.id))
	b = binary.LittleEndian.AppendUint64(b, uint64(hd.log)) //nolint:gosec // not negative
	return bucket.Put(headKey, binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)))
}

var errHead = errors.New("the file isn't a session store, or its format is newer than this version")

func readHead(tx *bolt.Tx) (hd head, err error) {
	bucket := tx.Bucket(metaBucket)
	if bucket == nil {
		return hd, errHead
	}
	b := bucket.Get(headKey)
	if len(b) != headSize || b[0] != headFormat || b[1] > headOpen|headMidway {
		return hd, errHead
	}
	if at := headSize - 4; crc32.Checksum(b[:at], castagnoli) != binary.LittleEndian.Uint32(b[at:]) {
		return hd, errors.New("wrong checksum of the position in the log")
	}
	hd.open, hd.midway = b[1]&headOpen != 0, b[1]&headMidway != 0
	hd.id = wal.ID(binary.LittleEndian.Uint64(b[2:]))
	hd.log = wal.Position(binary.LittleEndian.Uint64(b[10:])) //nolint:gosec // checked next
	if hd.log < 0 {
		return hd, errHead
	}
	return hd, nil
}

// head reads the head. Every error is a *DamagedError, unless there is no database.
func (d *database) head() (hd head, err error) {
	var invalid error
	err = d.view(func(tx *bolt.Tx) error {
		hd, invalid = readHead(tx)
		return nil
	})
	if err == nil && invalid != nil {
		err = &DamagedError{Path: d.path, Offset: -1, What: invalid.Error()}
	}
	return hd, err
}
