package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/uuidtext"
	"github.com/sessionbridge/sessionbridge/store"
)

// ErrValue is returned for a value that is no encoded record.
var ErrValue = errors.New("not a session")

// Decode returns the record that a value represents. The record's data shares no memory with value.
func Decode(id, value string) (store.Record, error) {
	rec := store.Record{ID: id}
	head, err := OpenHead(value)
	if err != nil {
		return rec, err
	}
	flags := value[atFlags]
	r := reader{rest: head.rest}
	rec.Renewal = store.Renewal(flags >> renewalShift)
	rec.Revision = head.number(atRevision)
	rec.Seen, rec.Expires = timeOf(head.Seen()), timeOf(head.Expires())
	rec.UserID = r.text()
	copy(rec.WriteID[:], r.bytes(len(rec.WriteID)))
	rest := rec.TokenHash[copy(rec.TokenHash[:], head.head[atToken:]):]
	copy(rest, r.bytes(len(rest)))
	rec.Created = timeOf(r.number())
	if flags&hasPrevious != 0 {
		copy(rec.PrevTokenHash[:], r.bytes(len(rec.PrevTokenHash)))
	}
	if flags&hasRotated != 0 {
		rec.RotatedAt = timeOf(r.number())
	}
	if flags&hasLoggedIn != 0 {
		rec.LoggedIn = timeOf(r.number())
	}
	rec.Idle, rec.Lifetime = time.Duration(r.varint()), time.Duration(r.varint())
	rec.Writes, rec.TokenGeneration, rec.LoginGeneration = r.uvarint(), r.uvarint(), r.uvarint()
	if flags&hasUUID == 0 {
		rec.ClientID = r.text()
	} else if raw := r.bytes(uuidtext.Size); len(raw) == uuidtext.Size {
		rec.ClientID = uuidtext.Format([uuidtext.Size]byte([]byte(raw)))
	}
	rec.Addr = r.text()
	if rec.UserAgent = r.text(); flags&hasFragments != 0 {
		rec.UserAgent = expand(rec.UserAgent)
	}
	if r.failed {
		return rec, ErrValue
	}
	rec.Data = []byte(r.rest)
	return rec, nil
}

// Head is the head of a value and what follows it, which may be incomplete.
type Head struct{ head, rest string }

// OpenHead returns the head of a value, or of a prefix of a value of at least HeadSize bytes.
func OpenHead(value string) (Head, error) {
	if len(value) < HeadSize {
		return Head{}, ErrValue
	}
	if value[0] != Format {
		return Head{}, fmt.Errorf("%w in a format that this version supports: %d", ErrValue, value[0])
	}
	return Head{head: value[:HeadSize], rest: value[HeadSize:]}, nil
}

func (h *Head) number(at int) uint64 { return number([]byte(h.head[at : at+NumberSize])) }

// Seen returns when the session was last seen, as Millis does.
func (h *Head) Seen() uint64 { return h.number(atSeen) }

// Expires returns when the session expires, as Millis does. 0 means never.
func (h *Head) Expires() uint64 { return h.number(atExpires) }

// UserID returns the user ID. It returns false if the value is truncated before the end of the ID.
func (h *Head) UserID() (string, bool) {
	r := reader{rest: h.rest}
	id := r.text()
	return id, !r.failed
}

// CutText returns the text at the beginning of s, which AppendText has written, and what follows
// it.
func CutText(s string) (text, rest string, ok bool) {
	r := reader{rest: s}
	text = r.text()
	return text, r.rest, !r.failed
}

// reader reads fields one after the other. When a field is incomplete, failed is set and the reader
// returns zeros from then on.
type reader struct {
	rest   string
	failed bool
}

func (r *reader) bytes(n int) string {
	if n < 0 || n > len(r.rest) {
		r.failed, r.rest = true, ""
		return ""
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) number() uint64 {
	if b := r.bytes(NumberSize); b != "" {
		return number([]byte(b))
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	n, size := binary.Uvarint([]byte(r.rest[:min(len(r.rest), binary.MaxVarintLen64)]))
	if size <= 0 {
		r.failed, r.rest = true, ""
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) varint() int64 {
	n := r.uvarint()
	return int64(n>>1) ^ -int64(n&1) //nolint:gosec // zigzag, as in encoding/binary
}

func (r *reader) text() string {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.failed, r.rest = true, ""
		return ""
	}
	return r.bytes(int(n)) //nolint:gosec // at most len(r.rest)
}
