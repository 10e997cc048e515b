package redisstore

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash/fnv"
	"net/url"
	"strconv"
)

// An ID is stored as a member: the 16 bytes that a UUID stands for, or a mark and the ID itself. With its mark an ID of 15 bytes would have
// 16, too: it has another mark, twice.
const (
	uuidSize = 16
	plain    = 1
	fifteen  = 2
)

func memberOf(id string) string {
	if raw, ok := parseUUID(id); ok {
		return string(raw[:])
	}
	if len(id) == uuidSize-1 {
		return string([]byte{fifteen, fifteen}) + id
	}
	return string([]byte{plain}) + id
}

var errMember = errors.New("not an ID")

// idOf returns the ID that memberOf has stored.
func idOf(member string) (string, error) {
	switch {
	case len(member) == uuidSize:
		return formatUUID([uuidSize]byte([]byte(member))), nil
	case len(member) >= 1 && member[0] == plain:
		return member[1:], nil
	case len(member) == uuidSize+1 && member[0] == fifteen:
		return member[2:], nil
	}
	return "", errMember
}

// parseUUID returns the bytes of a UUID in the form that formatUUID gives, and of no other: whatever is stored must come back as it was.
func parseUUID(s string) (raw [uuidSize]byte, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return raw, false
	}
	at := 0
	for i := 0; i < 36; i += 2 {
		switch i {
		case 8, 13, 18, 23:
			i++
		}
		high, low := hexValue(s[i]), hexValue(s[i+1])
		if high|low > 15 {
			return raw, false
		}
		raw[at] = high<<4 | low
		at++
	}
	return raw, true
}

func hexValue(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}

func formatUUID(raw [uuidSize]byte) string {
	var b [36]byte
	hex.Encode(b[:8], raw[:4])
	b[8] = '-'
	hex.Encode(b[9:13], raw[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], raw[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], raw[8:10])
	b[23] = '-'
	hex.Encode(b[24:], raw[10:])
	return string(b[:])
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
	if name == "" {
		return 0
	}
	sum := sha256.Sum256([]byte(name))
	return max(sixBytes(sum[:]), 1)
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
