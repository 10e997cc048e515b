package filestore

import (
	"bytes"
	"encoding/binary"
)

// The keys of the indexes. What they begin with is looked for; they end with the ID as appendID stores it.

// The indexes, where they are counted.
const (
	byDue = iota
	bySeen
	byUser
	byClient
)

// dueKey: the index by expiry has an entry for a session at or before its expiry. It is moved when the sweep finds that it
// comes too early, or when the expiry moves before it: most changes only move the expiry later, and leave it alone.
func dueKey(b []byte, due int64, key []byte) []byte { return append(appendTime(b, due), key...) }

// seenKey: the index by activity knows the minute. The order within one is made when somebody asks.
func seenKey(b []byte, granule uint32, key []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, granule), key...)
}

const (
	dueKeyTime     = 8 // bytes that the time takes
	seenKeyGranule = 4
)

// userKey: another user's key may begin like this one's, if one of them has a NUL in it. Whoever follows the index looks at
// the session's own user ID.
func userKey(b, user, key []byte) []byte { return append(append(append(b, user...), 0), key...) }

// clientKey has the client ID as appendID would store it. It is given as value.owner returns it.
func clientKey(b, client []byte, isUUID bool, key []byte) []byte {
	tag := byte(plainID)
	if isUUID {
		tag = uuidID
	}
	return append(append(append(append(b, tag), client...), 0), key...)
}

// clientPrefix returns what the keys of a client's sessions begin with, and the client ID as value.owner returns it.
func clientPrefix(clientID string) (prefix, owner []byte) {
	tagged := appendID(nil, clientID)
	return append(bytes.Clone(tagged), 0), tagged[1:]
}

// userPrefix is clientPrefix for users.
func userPrefix(userID string) (prefix, owner []byte) {
	return append([]byte(userID), 0), []byte(userID)
}
