package codec

import (
	"crypto/sha256"
	"errors"
	"hash/fnv"
	"net/url"
	"strconv"

	"github.com/sessionbridge/sessionbridge/internal/uuidtext"
	"github.com/sessionbridge/sessionbridge/store"
)

// A session ID is stored as a member: the 16 bytes of a UUID, or a marker followed by the ID
// itself. An ID of 15 bytes has a marker of two bytes, so that its member is not taken for a UUID.
const (
	markerText    = 1
	markerFifteen = 2
)

// Member returns an ID as it is written in indexes and key names.
func Member(id string) string {
	if raw, ok := uuidtext.Parse(id); ok {
		return string(raw[:])
	}
	if len(id) == uuidtext.Size-1 {
		return string([]byte{markerFifteen, markerFifteen}) + id
	}
	return string([]byte{markerText}) + id
}

// ErrMember is returned for a member that Member has not written.
var ErrMember = errors.New("not an ID")

// ID returns the ID that a member represents.
func ID(member string) (string, error) {
	switch {
	case len(member) == uuidtext.Size:
		return uuidtext.Format([uuidtext.Size]byte([]byte(member))), nil
	case len(member) >= 1 && member[0] == markerText:
		return member[1:], nil
	case len(member) == uuidtext.Size+1 && member[0] == markerFifteen && member[1] == markerFifteen:
		return member[2:], nil
	}
	return "", ErrMember
}

// Shard returns the shard of a member. The result must never change, because it determines where
// existing sessions are found.
func Shard(member string, shards int) int {
	if shards == 1 {
		return 0
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(member))
	return int(h.Sum32() % uint32(shards)) //nolint:gosec // shards is small
}

// ClientPlace returns what selects the shard of the holders of a client. A topic of messages that are
// kept for a session is in the shard of the session.
func ClientPlace(clientID string) string {
	if to, ok := store.KeptTopic(clientID); ok && to.SessionID != "" {
		return Member(to.SessionID)
	}
	return Member(clientID)
}

// KeptName returns the name in keys of the messages that are kept for a session or a user.
func KeptName(to store.KeptFor) string {
	if to.SessionID != "" {
		return "s" + Member(to.SessionID)
	}
	return "u" + to.UserID
}

// RecordKey returns the key of a session. prefix is that of its shard.
func RecordKey(prefix, member string) string { return prefix + "s" + member }

// Prefixes returns the key prefix of each shard. The name of an App follows the braces, because it
// may contain some; it is escaped so that it contains no colon.
func Prefixes(namespace, app string, shards int) []string {
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

// Score returns the score of a user or a client in its index: 48 bits of a cryptographic hash,
// which is never 0; the empty name has 0. Two names may have the same score, so readers of the
// index compare names.
func Score(name string) uint64 { return scoreAt(name, 0) }

// GuestScore returns the score of a client's sessions without a user, in the index by client. It
// differs from Score, because these sessions are counted and the oldest are ended when there are
// too many.
func GuestScore(clientID string) uint64 { return scoreAt(clientID, NumberSize) }

func scoreAt(name string, at int) uint64 {
	if name == "" {
		return 0
	}
	var b [64]byte // most names fit, so they needn't be copied to the heap
	sum := sha256.Sum256(append(b[:0], name...))
	return max(number(sum[at:]), 1)
}
