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

// nameBytes is how much of a hash is a name: more than 2^60 users or clients are needed for two that
// have the same.
const nameBytes = 16

// names computes what the inner store gets as the ID of a user or client: its keyed hash, HMAC-SHA256
// of the application and the ID, of which the first nameBytes in base64 without padding.
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

// names returns the names of a client and a user.
func (k *key) names(app, clientID, userID string) (client, user string) {
	return k.clients.of(app, clientID), k.users.of(app, userID)
}

// of returns the name of the ID, and "" for "".
func (n *names) of(app, id string) string {
	if id == "" {
		return ""
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
	return base64.RawURLEncoding.EncodeToString(h.mac.Sum(h.sum[:0])[:nameBytes])
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
