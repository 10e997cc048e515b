package sealed

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"sync/atomic"
)

const (
	saltSize  = 12
	nonceSize = 12 // of AES-GCM
	tagSize   = 16

	// boxesPerSalt is how many boxes are sealed with one salt. NIST SP 800-38D (8.3) allows 2^32 with
	// random nonces of 96 bits, of which two are the same with a probability of 2^-33; of 2^30, of 2^-37.
	boxesPerSalt = 1 << 30

	// openerSlots is how many ciphers for opening are remembered, of 0.8 KiB each. What is stored has a
	// salt for each Store that has written some of it, also of processes that have ended since.
	openerSlots = 1 << 12
)

// salt selects a cipher. It is random.
type salt [saltSize]byte

// boxes seals and opens the boxes of one purpose. A cipher is AES-256-GCM with a key that is derived
// from the secret and a salt, because no key of AES-GCM may seal as many boxes as an application
// writes. It takes no lock.
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

// init derives the secret from a key of the application. It returns an error if there is no cipher, as in
// a process that is restricted to other algorithms.
func (b *boxes) init(key []byte, purpose string) (err error) {
	if b.secret, err = derive(key, purpose, sha256.Size); err != nil {
		return err
	}
	_, err = b.cipher(salt{})
	return err
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

// open appends the plaintext in an envelope to dst. A cipher is remembered only once it has opened
// something: whoever can write to the inner store can make up salts.
func (b *boxes) open(dst, envelope, bound []byte) ([]byte, error) {
	of := salt(envelope[saltAt:nonceAt])
	slot := &b.openers[binary.LittleEndian.Uint16(of[:])%openerSlots]
	with := slot.Load()
	known := with != nil && with.salt == of
	if !known {
		aead, err := b.cipher(of)
		if err != nil {
			return nil, err
		}
		with = &keyed{of, aead}
	}
	plaintext, err := with.Open(dst, envelope[nonceAt:boxAt], envelope[boxAt:], bound)
	if err != nil {
		return nil, errForged
	}
	if !known {
		slot.Store(with)
	}
	return plaintext, nil
}

// cipher returns the cipher that a salt selects. Its key is one of HKDF-Expand: the secret, of
// HKDF-SHA256 itself, is as good as random, and somebody else may have chosen the salt.
func (b *boxes) cipher(of salt) (cipher.AEAD, error) {
	const size = 32 // of AES-256
	key, err := hkdf.Expand(sha256.New, b.secret, "sessionbridge sealed 1: cipher"+string(of[:]), size)
	if err != nil {
		return nil, fmt.Errorf("sealed: derive the key of a cipher: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("sealed: AES-256: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("sealed: AES-GCM: %w", err)
	}
	return aead, nil
}
