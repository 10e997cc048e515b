package filestore

import (
	"encoding/binary"

	"github.com/sessionbridge/sessionbridge/internal/uuidtext"
)

// The indexes, in the order of bucketNames.indexes. Their keys begin with the indexed value and end
// with the key of the session.
const (
	byDue = iota
	bySeen
	byUser
	byClient
	indexes
)

// place is where the indexes have a session.
type place struct {
	due     int64
	granule uint32
	owner   value // has the user and the client
}

// appendKey appends the session's key in an index. It appends nothing if the index doesn't have the
// session.
func (p *place) appendKey(b []byte, index int, key []byte) []byte {
	switch user, client := p.owner.owner(); {
	case index == byDue && p.due != never:
		return dueKey(b, p.due, key)
	case index == bySeen:
		return seenKey(b, p.granule, key)
	case index == byUser && len(user) > 0:
		return userKey(b, user, key)
	case index == byClient && len(client) > 0:
		return clientKey(b, client, p.owner.uuidClient(), key)
	}
	return b
}

const (
	dueKeyTime     = 8 // bytes of the time in a dueKey
	seenKeyGranule = 4 // bytes of the minute in a seenKey
)

// dueKey is a key of the index by expiry. The entry of a session stands at its expiry or before. It
// moves when the sweep finds it too early, and when the expiry moves before it. Most changes only
// move the expiry later, and need not change the index.
func dueKey(b []byte, due int64, key []byte) []byte { return append(appendTime(b, due), key...) }

// seenKey is a key of the index by activity. The order within a minute is determined when reading.
func seenKey(b []byte, granule uint32, key []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, granule), key...)
}

// userKey is a key of the index by user. The length in front of the user ID makes sure that the
// keys of no other user have the same prefix.
func userKey(b, user, key []byte) []byte {
	return append(append(binary.AppendUvarint(b, uint64(len(user))), user...), key...)
}

// clientKey is a key of the index by client, with the client ID as returned by value.owner.
func clientKey(b, client []byte, isUUID bool, key []byte) []byte {
	if isUUID {
		b = append(b, uuidID)
	} else {
		b = binary.AppendUvarint(append(b, plainID), uint64(len(client)))
	}
	return append(append(b, client...), key...)
}

// userPrefix returns the prefix of the keys of the user's sessions, and the user ID as returned by
// value.owner.
func userPrefix(userID string) (prefix, owner []byte) {
	owner = []byte(userID)
	return userKey(nil, owner, nil), owner
}

// clientPrefix is userPrefix for clients.
func clientPrefix(clientID string) (prefix, owner []byte) {
	raw, isUUID := uuidtext.Parse(clientID)
	if owner = raw[:]; !isUUID {
		owner = []byte(clientID)
	}
	return clientKey(nil, owner, isUUID, nil), owner
}
