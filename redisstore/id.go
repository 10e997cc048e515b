package redisstore

import (
	"crypto/sha256"
	"errors"
	"hash/fnv"
	"net/url"
	"strconv"

	"github.com/sessionbridge/sessionbridge/internal/uuidtext"
)

// An ID is stored as a member: the 16 bytes that a UUID stands for, or a mark and the ID itself. With its mark an ID of 15 bytes would have
// 16, too: it has another mark, twice.
const (
	plain   = 1
	fifteen = 2
)

func memberOf(id string) string {
	if raw, ok := uuidtext.Parse(id); ok {
		return string(raw[:])
	}
	if len(id) == uuidtext.Size-1 {
		return string([]byte{fifteen, fifteen}) + id
	}
	return string([]byte{plain}) + id
}

var errMember = errors.New("not an ID")

// idOf returns the ID that memberOf has stored.
func idOf(member string) (string, error) {
	switch {
	case len(member) == uuidtext.Size:
		return uuidtext.Format([uuidtext.Size]byte([]byte(member))), nil
	case len(member) >= 1 && member[0] == plain:
		return member[1:], nil
	case len(member) == uuidtext.Size+1 && member[0] == fifteen:
		return member[2:], nil
	}
	return "", errMember
}

// shardOf returns the shard of a member. It must never change: it says where what is stored can be found.
func shardOf(member string, shards int) int {
	if shards == 1 {
		return 0
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(member))
	return int(h.Sum32() % uint32(shards)) //nolint:gosec // shards is small
}

// placeOf returns the place of a user or a client in its index: 48 bits of a hash that nobody can choose names for, and never 0, which is
// nobody's. Two names may have the same place, so whoever looks there compares the name.
func placeOf(name string) uint64 {
	return placeAt(name, 0)
}

// guestPlaceOf returns the place of a client's sessions that nobody is logged in with, in the index by client: those are counted, and the oldest of too many end. Its other sessions are at
// placeOf.
func guestPlaceOf(clientID string) uint64 { return placeAt(clientID, 6) }

// placeAt takes the 6 bytes of the hash that begin there.
func placeAt(name string, at int) uint64 {
	if name == "" {
		return 0
	}
	sum := sha256.Sum256([]byte(name))
	return max(sixBytes(sum[at:]), 1)
}

// prefixes returns what the keys of each shard begin with. An App comes after the braces, because it may have some; escaped it has no colon.
func prefixes(namespace, app string, shards int) []string {
	out := make([]string, shards)
	for i := range out {
		out[i] = namespace + ":{" + strconv.Itoa(i) + "}"
		if app != "" {
			out[i] += "/" + url.QueryEscape(app)
		}
		out[i] += ":"
	}
	return out
}
