package sealed

import (
	"io"

	"github.com/sessionbridge/sessionbridge/store"
)

// SetRand replaces the source of salts and nonces.
func (s *Store) SetRand(r io.Reader) { s.rand = r }

// The parts of an envelope, and the limits.
const (
	SaltAt      = saltAt
	NonceAt     = nonceAt
	BoxAt       = boxAt
	MaxReported = maxReported
	MaxIDs      = maxIDs
)

// OpenerSlots is how many ciphers are remembered for opening.
const OpenerSlots = openerSlots

// BoxesPerSalt is how many boxes are sealed with one salt.
const BoxesPerSalt = boxesPerSalt

// NextSalt returns the salt of another box of a record.
func (s *Store) NextSalt() (string, error) {
	with, err := s.keys[0].records.toSeal(s.rand)
	if err != nil {
		return "", err
	}
	return string(with.salt[:]), nil
}

// LeaveBoxes leaves n boxes of records to be sealed with the present salt.
func (s *Store) LeaveBoxes(n uint64) { s.keys[0].records.sealer.Load().boxes.Store(boxesPerSalt - n) }

// OpenMessage opens a message as a node does.
func (s *Store) OpenMessage(envelope []byte) ([]byte, error) { return s.openMessage(s.app, envelope) }

// SealMessage seals a message as a node does.
func (s *Store) SealMessage(data []byte) ([]byte, error) { return s.sealMessage(s.app, data) }

// CreateSalt writes a new salt file.
var CreateSalt = createSalt

// KnownSlots is how many records' names are remembered.
const KnownSlots = knownSlots

// Names returns the names in a record, as they are stored.
func (s *Store) Names(client, user string) (clientName, userName string) {
	return s.known.of(s.keys[0], s.app, client, user)
}

// ComputedNames is Names without what is remembered.
func (s *Store) ComputedNames(client, user string) (clientName, userName string) {
	return s.keys[0].names(s.app, client, user)
}

// Inner returns the store that keeps the records.
func (s *Store) Inner() store.Store { return s.inner }
