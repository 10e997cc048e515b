package filestore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	bolt "go.etcd.io/bbolt"

	"github.com/sessionbridge/sessionbridge/filestore/internal/wal"
)

// stored is the value of a session in the database: a checksum of the name of the app, of the key
// and of what follows; the time between the entry of the index by expiry and the expiry, as a
// varint; and the record. Ten bytes less for each session save one page in seven.
type stored []byte

const (
	storedSum  = 4                                 // bytes of the checksum
	storedHead = storedSum + binary.MaxVarintLen64 // the most bytes in front of the record
)

var errChecksum = errors.New("wrong checksum of a session")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func makeStored(b []byte, app string, key []byte, due int64, v value) stored {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.AppendUvarint(b, uint64(v.expiry())-uint64(due)) //nolint:gosec // may exceed an int64
	b = append(b, v...)
	s := stored(b[at:])
	binary.LittleEndian.PutUint32(s, s.sum(app, key))
	return s
}

func (s stored) sum(app string, key []byte) uint32 {
	sum := crc32.Checksum([]byte(app), castagnoli)
	return crc32.Update(crc32.Update(sum, castagnoli, key), castagnoli, s[storedSum:])
}

// valid reports whether s was stored under the key. The other methods need a valid value.
func (s stored) valid(app string, key []byte) bool {
	if len(s) < storedSum || binary.LittleEndian.Uint32(s) != s.sum(app, key) {
		return false
	}
	_, n := binary.Uvarint(s[storedSum:])
	return n > 0 && len(s) >= storedSum+n+atVariable
}

func (s stored) value() value {
	_, n := binary.Uvarint(s[storedSum:])
	return value(s[storedSum+n:])
}

// due returns where the index by expiry has the session.
func (s stored) due() int64 {
	before, _ := binary.Uvarint(s[storedSum:])
	return int64(uint64(s.value().expiry()) - before) //nolint:gosec // the inverse of makeStored
}

// version returns a copy; nil: there is no session.
func (s stored) version() *version {
	if s == nil {
		return nil
	}
	return &version{value: append(value(nil), s.value()...), due: s.due()}
}

// The name of a bucket of the database is one of these letters and the name of the app.
const (
	sessionsBucket = 's' // key: stored
	dueBucket      = 'x' // dueKey
	seenBucket     = 'a' // seenKey
	usersBucket    = 'u' // userKey
	clientsBucket  = 'c' // clientKey
)

// bucketNames are the names of the buckets of an app.
type bucketNames struct{ sessions, due, seen, users, clients []byte }

func (n *bucketNames) indexes() [indexes][]byte {
	return [...][]byte{n.due, n.seen, n.users, n.clients}
}

func namesOf(app string) bucketNames {
	name := func(letter byte) []byte { return append([]byte{letter}, app...) }
	return bucketNames{name(sessionsBucket), name(dueBucket), name(seenBucket), name(usersBucket), name(clientsBucket)}
}

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
		b[1] = headOpen
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
	if hd.log = wal.Position(binary.LittleEndian.Uint64(b[10:])); hd.log < 0 { //nolint:gosec // checked
		return hd, errHead
	}
	return hd, nil
}

// head reads the head. Every error is a *DamagedError, unless there is no database.
func (d *database) head() (hd head, err error) {
	err = d.view(func(tx *bolt.Tx) (err error) {
		if hd, err = readHead(tx); err != nil {
			err = &DamagedError{Path: d.path, Offset: -1, What: err.Error()}
		}
		return err
	})
	return hd, err
}
