package kept

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/sessionbridge/sessionbridge/store"
)

// A position lists the logs that a connection reads, each by its tag and the number of the last
// message that was sent: "tag number.tag number", the numbers in base 36. A tag is a keyed hash of the
// session or the user. Behind them are logs that the client has read before, so that it gets nothing
// twice if it comes back to them: a user who has logged out and in again, for example.
const (
	tagSize     = 6
	tagText     = 8 // in base64
	maxEntries  = 4 // of a position
	maxPosition = 200
	noEntries   = "0" // the position without logs
	base        = 36
)

// entry is one log of a position.
type entry struct {
	tag    [tagSize]byte
	number uint64
}

// parsePosition returns the entries of a position; false for one that the package hasn't written.
func parsePosition(text string) (entries []entry, ok bool) {
	switch {
	case text == noEntries:
		return nil, true
	case text == "" || len(text) > maxPosition:
		return nil, false
	}
	for field := range strings.SplitSeq(text, ".") {
		if len(field) <= tagText || len(entries) == maxEntries {
			return nil, false
		}
		var e entry
		if n, err := base64.RawURLEncoding.Strict().Decode(e.tag[:], []byte(field[:tagText])); err != nil || n != tagSize {
			return nil, false
		}
		number, err := strconv.ParseUint(field[tagText:], base, 64)
		if err != nil || strconv.FormatUint(number, base) != field[tagText:] {
			return nil, false
		}
		e.number = number
		entries = append(entries, e)
	}
	return entries, true
}

// formatPosition returns the text of at most maxEntries entries.
func formatPosition(entries []entry) string {
	if len(entries) == 0 {
		return noEntries
	}
	var b []byte
	for _, e := range entries[:min(len(entries), maxEntries)] {
		if b != nil {
			b = append(b, '.')
		}
		b = base64.RawURLEncoding.AppendEncode(b, e.tag[:])
		b = strconv.AppendUint(b, e.number, base)
	}
	return string(b)
}

// tags computes tags under secrets, of which the first one is for new positions.
type tags struct {
	secrets atomic.Pointer[[][sha256.Size]byte]
}

// of returns the tags of the log, the one for new positions first.
func (t *tags) of(to store.KeptFor) [][tagSize]byte {
	secrets := *t.secrets.Load()
	all := make([][tagSize]byte, len(secrets))
	for i, secret := range secrets {
		mac := hmac.New(sha256.New, secret[:])
		mac.Write([]byte(to.Topic()))
		copy(all[i][:], mac.Sum(nil))
	}
	return all
}

// take removes the entry of the log from the entries, and returns its number.
func (t *tags) take(entries *[]entry, to store.KeptFor) (tag [tagSize]byte, number uint64, found bool) {
	known := t.of(to)
	i := slices.IndexFunc(*entries, func(e entry) bool { return slices.Contains(known, e.tag) })
	if i < 0 {
		return known[0], 0, false
	}
	number = (*entries)[i].number
	*entries = slices.Delete(slices.Clone(*entries), i, i+1)
	return known[0], number, true
}
