package sealed

import "io"

// SetRand replaces the source of nonces.
func (s *Store) SetRand(r io.Reader) { s.rand = r }

// The parts of an envelope, and the limits.
const (
	NonceAt     = nonceAt
	BoxAt       = boxAt
	MaxReported = maxReported
	MaxIDs      = maxIDs
)

// OpenMessage opens a message as a node does.
func (s *Store) OpenMessage(envelope []byte) ([]byte, error) { return s.openMessage(s.app, envelope) }

// SealMessage seals a message as a node does.
func (s *Store) SealMessage(data []byte) ([]byte, error) { return s.sealMessage(s.app, data) }

// CreateSalt writes a new salt file.
var CreateSalt = createSalt
