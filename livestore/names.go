package livestore

import (
	"encoding/binary"
	"strings"
	"unique"

	"github.com/sessionbridge/sessionbridge/store"
)

// names are the strings of a record, concatenated: separate headers, and rounding each string up to
// an allocation size, would take more memory than the strings. They never share memory with a
// caller's string, which may be a small part of a large one. The user agent is the same for many
// sessions, which share it.
type names struct {
	text  string // the lengths of the ID, the client ID and the user ID as uvarints, these, and the address
	agent unique.Handle[string]
}

func makeNames(rec *store.Record) names {
	var buf [3 * binary.MaxVarintLen32]byte
	lengths := buf[:0]
	size := len(rec.Addr)
	for _, s := range [...]string{rec.ID, rec.ClientID, rec.UserID} {
		lengths = binary.AppendUvarint(lengths, uint64(len(s)))
		size += len(s)
	}
	var text strings.Builder
	text.Grow(len(lengths) + size)
	text.Write(lengths)
	for _, s := range [...]string{rec.ID, rec.ClientID, rec.UserID, rec.Addr} {
		text.WriteString(s)
	}
	return names{text.String(), unique.Make(rec.UserAgent)}
}

// length returns the length that stands at that place, and the place after it.
func (n *names) length(at int) (v, next int) {
	b := n.text[at]
	if b < 0x80 {
		return int(b), at + 1
	}
	for shift := 0; ; shift += 7 {
		b = n.text[at]
		v |= int(b&0x7f) << shift
		if at++; b < 0x80 {
			return v, at
		}
	}
}

// ends returns where the ID begins, and where it, the client ID and the user ID end.
func (n *names) ends() (begin, id, client, user int) {
	id, at := n.length(0)
	client, at = n.length(at)
	user, begin = n.length(at)
	id += begin
	client += id
	user += client
	return begin, id, client, user
}

func (n *names) id() string {
	begin, id, _, _ := n.ends()
	return n.text[begin:id]
}

func (n *names) clientID() string {
	_, id, client, _ := n.ends()
	return n.text[id:client]
}

func (n *names) userID() string {
	_, _, client, user := n.ends()
	return n.text[client:user]
}

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
	_, id, client, user := n.ends()
	return n.text[id:client] == rec.ClientID && n.text[client:user] == rec.UserID &&
		n.text[user:] == rec.Addr && n.agent.Value() == rec.UserAgent
}

func (n *names) fill(rec *store.Record) {
	begin, id, client, user := n.ends()
	rec.ID, rec.ClientID, rec.UserID = n.text[begin:id], n.text[id:client], n.text[client:user]
	rec.Addr, rec.UserAgent = n.text[user:], n.agent.Value()
}
