package filestore

import (
	"encoding/binary"

	"github.com/sessionbridge/sessionbridge/internal/uuidtext"
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

// userKey has the length of the user ID before it: no other's begins like that.
func userKey(b, user, key []byte) []byte {
	return append(append(binary.AppendUvarint(b, uint64(len(user))), user...), key...)
}

// clientKey has the client ID as value.owner returns it; that of a UUID has always the same length.
func clientKey(b, client []byte, isUUID bool, key []byte) []byte {
	if isUUID {
		b = append(b, uuidID)
	} else {
		b = binary.AppendUvarint(append(b, plainID), uint64(len(client)))
	}
	return append(append(b, client...), key...)
}

// maxLength is the most that a length takes.
const maxLength = binary.MaxVarintLen32

// userPrefix returns what the keys of a user's sessions begin with, and the user ID as value.owner returns it.
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
