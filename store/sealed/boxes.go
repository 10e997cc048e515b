package sealed

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"io"
	"sync/atomic"
)

const (
	saltSize  = 12
	nonceSize = 12 // of AES-GCM
	tagSize   = 16

	// boxesPerSalt is how many boxes are sealed with one salt. Of 2^32 random nonces of 96 bits two are
	// the same with a probability of 2^-33, which NIST allows (SP 800-38D, 8.3); of 2^30, of 2^-37.
	boxesPerSalt = 1 << 30

	// openerSlots is how many ciphers are remembered for opening, at 1.3 KiB. A power of two. What is
	// stored has a salt for each start of a process that has written some of it.
	openerSlots = 1 << 8
)

// salt selects a cipher. It is random.
type salt [saltSize]byte

// boxes seals and opens the boxes of one purpose. A cipher is AES-256-GCM with a key that is derived
// from the secret and a salt (HKDF-SHA256): a key of AES-GCM must not be used for more than 2^32
// boxes, and an application may write more. It takes no lock.
type boxes struct {
	secret  []byte
	sealer  atomic.Pointer[sealer]
	openers [openerSlots]atomic.Pointer[keyed]
}

// keyed is a cipher, and what selects it.
type keyed struct {
	salt salt
	cipher.AEAD
}

// sealer is the cipher that seals at present.
type sealer struct {
	keyed
	boxes atomic.Uint64 // sealed so far
}

// toSeal returns the cipher for another box.
func (b *boxes) toSeal(rand io.Reader) (*keyed, error) {
	for {
		now := b.sealer.Load()
		if now != nil && now.boxes.Add(1) <= boxesPerSalt {
			return &now.keyed, nil
		}
		next := &sealer{}
		if err := readRandom(rand, next.salt[:]); err != nil {
			return nil, err
		}
		var err error
		if next.AEAD, err = b.cipher(next.salt); err != nil {
			return nil, err
		}
		b.sealer.CompareAndSwap(now, next)
	}
}

// toOpen returns the cipher that a salt selects.
func (b *boxes) toOpen(of salt) (cipher.AEAD, error) {
	slot := &b.openers[of[0]]
	if k := slot.Load(); k != nil && k.salt == of {
		return k, nil
	}
	aead, err := b.cipher(of)
	if err == nil {
		slot.Store(&keyed{of, aead})
	}
	return aead, err
}

func (b *boxes) cipher(of salt) (cipher.AEAD, error) {
	const size = 32 // of AES-256
	key, err := hkdf.Key(sha256.New, b.secret, of[:], "sessionbridge sealed 1: cipher", size)
	if err != nil {
		return nil, fmt.Errorf("sealed: derive the key of a cipher: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("sealed: AES: %w", err)
	}
	return cipher.NewGCM(block)
}
