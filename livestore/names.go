package livestore

import (
	"strings"

	"github.com/sessionbridge/sessionbridge/store"
)

// names are the strings of a record, concatenated: separate headers, and rounding each string up to
// an allocation size, would take more memory than the strings. They never share memory with a
// caller's string, which may be a small part of a large one.
type names struct {
	text string
	ends [4]uint32 // of the ID, the client ID, the user ID and the address; the user agent is the rest of text
}

func makeNames(rec *store.Record) names {
	var text strings.Builder
	text.Grow(len(rec.ID) + len(rec.ClientID) + len(rec.UserID) + len(rec.Addr) + len(rec.UserAgent))
	var n names
	for i, s := range [...]string{rec.ID, rec.ClientID, rec.UserID, rec.Addr} {
		text.WriteString(s)
		n.ends[i] = uint32(text.Len()) //nolint:gosec // names never have four gigabytes
	}
	text.WriteString(rec.UserAgent)
	n.text = text.String()
	return n
}

func (n *names) id() string        { return n.text[:n.ends[0]] }
func (n *names) clientID() string  { return n.text[n.ends[0]:n.ends[1]] }
func (n *names) userID() string    { return n.text[n.ends[1]:n.ends[2]] }
func (n *names) addr() string      { return n.text[n.ends[2]:n.ends[3]] }
func (n *names) userAgent() string { return n.text[n.ends[3]:] }

// of returns the name that the table is keyed by.
func (n *names) of(table int) string {
	switch table {
	case byUser:
		return n.userID()
	case byClient:
		return n.clientID()
	}
	return n.id()
}

// are reports whether they equal those of rec, which has the same ID.
func (n *names) are(rec *store.Record) bool {
	return n.clientID() == rec.ClientID && n.userID() == rec.UserID &&
		n.addr() == rec.Addr && n.userAgent() == rec.UserAgent
}

func (n *names) fill(rec *store.Record) {
	rec.ID, rec.ClientID, rec.UserID, rec.Addr, rec.UserAgent = n.id(), n.clientID(), n.userID(), n.addr(), n.userAgent()
}
