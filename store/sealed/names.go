package sealed

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"sync"

	"github.com/sessionbridge/sessionbridge/store"
)

// nameSize is the length of a name: a SHA-256 in base64 without padding.
const nameSize = 43

// names computes what the inner store gets as the ID of a user or client: its keyed hash, HMAC-SHA256
// of the application and the ID.
type names struct {
	key  []byte
	pool sync.Pool // of *hasher
}

// hasher is the state of one computation, which is used again: to set up an HMAC takes longer.
type hasher struct {
	mac hash.Hash
	in  []byte
	sum [sha256.Size]byte
}

// of returns the name of the ID, and "" for "".
func (n *names) of(app, id string) string {
	var name [nameSize]byte
	return string(n.append(name[:0], app, id))
}

// names returns the names of a client and a user.
func (k *key) names(app, clientID, userID string) (client, user string) {
	var names [2 * nameSize]byte
	b := k.clients.append(names[:0], app, clientID)
	end := len(b)
	both := string(k.users.append(b, app, userID)) // with one allocation
	return both[:end], both[end:]
}

// append appends the name of the ID, and nothing for "".
func (n *names) append(b []byte, app, id string) []byte {
	if id == "" {
		return b
	}
	h, ok := n.pool.Get().(*hasher)
	if !ok {
		h = &hasher{mac: hmac.New(sha256.New, n.key)}
	}
	defer n.pool.Put(h)
	h.mac.Reset()
	h.in = append(appendText(h.in[:0], app), id...)
	_, _ = h.mac.Write(h.in) // a hash never fails
	clear(h.in)
	return base64.RawURLEncoding.AppendEncode(b, h.mac.Sum(h.sum[:0]))
}

// userNames returns the names under which the inner store may have records of the user: first the
// one under which they are stored now.
func (s *Store) userNames(userID string) []string {
	return s.allNames(userID, func(k *key) *names { return &k.users })
}

// clientNames is userNames for a client. The topic of messages that are kept for a user is named after
// the name of the user.
func (s *Store) clientNames(clientID string) []string {
	if to, ok := store.KeptTopic(clientID); ok {
		return s.topics(to)
	}
	return s.allNames(clientID, func(k *key) *names { return &k.clients })
}

func (s *Store) allNames(id string, of func(*key) *names) []string {
	if id == "" {
		return []string{""}
	}
	all := make([]string, 0, len(s.keys)+1)
	for _, k := range s.keys {
		all = append(all, of(k).of(s.app, id))
	}
	if s.readPlain {
		all = append(all, id)
	}
	return all
}

// appendText appends text so that what follows can't be taken for a part of it.
func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}
