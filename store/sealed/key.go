package sealed

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
)

// MinKeyBytes is the minimum length of a key.
const MinKeyBytes = 32

// keyID identifies a key in an envelope. It is derived from the key and says nothing about it.
type keyID [8]byte

// key is what is derived from one key of the application: a key for each purpose.
type key struct {
	id       keyID
	records  boxes
	messages boxes
	users    names
	clients  names
}

// newKeys returns the keys, in the order of the secrets.
func newKeys(secrets [][]byte) ([]*key, error) {
	if len(secrets) == 0 {
		return nil, errors.New("sealed: no keys: there is no default key; pass at least one of 32 random bytes, " +
			"for example from bridge.LoadOrCreateKeys(path), or of PassphraseKey")
	}
	keys := make([]*key, len(secrets))
	known := make(map[keyID]bool, len(secrets))
	for i, secret := range secrets {
		k, err := newKey(secret)
		if err != nil {
			return nil, fmt.Errorf("sealed: key %d: %w", i, err)
		}
		if known[k.id] {
			return nil, fmt.Errorf("sealed: key %d: it is among the keys twice", i)
		}
		known[k.id] = true
		keys[i] = k
	}
	return keys, nil
}

func newKey(secret []byte) (*key, error) {
	if len(secret) < MinKeyBytes {
		return nil, fmt.Errorf("%d bytes are too short, at least %d random bytes are needed; "+
			"PassphraseKey makes a key of a passphrase", len(secret), MinKeyBytes)
	}
	if bytes.Count(secret, secret[:1]) == len(secret) {
		return nil, errors.New("all bytes are the same: it isn't random")
	}
	k := &key{}
	id, err := derive(secret, "key id", len(k.id))
	if err != nil {
		return nil, err
	}
	copy(k.id[:], id)
	if err = k.records.init(secret, "records"); err != nil {
		return nil, err
	}
	if err = k.messages.init(secret, "messages"); err != nil {
		return nil, err
	}
	users, err := derive(secret, "user ids", sha256.Size)
	if err != nil {
		return nil, err
	}
	clients, err := derive(secret, "client ids", sha256.Size)
	if err != nil {
		return nil, err
	}
	k.users.key, k.clients.key = users, clients
	return k, nil
}

// derive returns the key for one purpose (HKDF-SHA256, RFC 5869).
func derive(secret []byte, purpose string, size int) ([]byte, error) {
	derived, err := hkdf.Key(sha256.New, secret, nil, "sessionbridge sealed 1: "+purpose, size)
	if err != nil {
		return nil, fmt.Errorf("derive the key for %s: %w", purpose, err)
	}
	return derived, nil
}
