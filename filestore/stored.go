package filestore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
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
	sum := uint32(0)
	if app != "" {
		sum = crc32.Checksum([]byte(app), castagnoli)
	}
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

// place returns where the indexes have the session.
func (s stored) place() place { return place{s.due(), granuleOf(s.value().seen()), s.value()} }

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
