package sealed

import (
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// An envelope is the Data of a record in the inner store, a message between nodes, or one that is kept:
//
//	magic      4 bytes: kind and version of the format
//	key ID     8 bytes
//	salt      12 bytes, random; selects the key of the cipher (boxes)
//	nonce     12 bytes, random
//	ciphertext
//	tag       16 bytes
//
// The plaintext of a record is ClientID, UserID, Addr and UserAgent, each after its length as a
// uvarint, and Data. Data that isn't sealed never begins with a zero byte: it is JSON.
const (
	recordMagic  = "\x00sb\x01"
	messageMagic = "\x00sm\x01"
	keptMagic    = "\x00sk\x01"

	saltAt      = len(recordMagic) + len(keyID{})
	nonceAt     = saltAt + saltSize
	boxAt       = nonceAt + nonceSize
	minEnvelope = boxAt + tagSize
)

// newEnvelope returns an envelope without a box, with capacity for a plaintext, and the cipher for its
// box. It is in the memory of b if there is enough.
func (c *core) newEnvelope(b []byte, magic string, of *boxes, plaintext int) ([]byte, cipher.AEAD, error) {
	envelope := slices.Grow(b[:0], minEnvelope+plaintext)[:boxAt]
	copy(envelope, magic)
	copy(envelope[len(magic):], c.keys[0].id[:])
	with, err := of.toSeal(c.rand)
	if err != nil {
		return nil, nil, err
	}
	copy(envelope[saltAt:], with.salt[:])
	if err := readRandom(c.rand, envelope[nonceAt:]); err != nil {
		return nil, nil, err
	}
	return envelope, with, nil
}

// readRandom fills b with random bytes.
func readRandom(rand io.Reader, b []byte) error {
	if _, err := io.ReadFull(rand, b); err != nil {
		return fmt.Errorf("sealed: no random bytes: nothing is stored: %w", err)
	}
	return nil
}

// keyOf returns the key of an envelope, or an error that matches ErrUnopenable.
func (c *core) keyOf(envelope []byte, magic string) (*key, error) {
	if !isSealed(envelope) {
		return nil, errPlain
	}
	if len(envelope) < minEnvelope || string(envelope[:len(magic)]) != magic {
		return nil, errFormat
	}
	id := keyID(envelope[len(magic):])
	for _, k := range c.keys {
		if k.id == id {
			return k, nil
		}
	}
	return nil, errUnknownKey(id)
}

// isSealed reports whether data is an envelope of any version, even a truncated one.
func isSealed(data []byte) bool { return len(data) > 0 && data[0] == recordMagic[0] }

// seal replaces the contents of the record, a copy of the caller's, by an envelope in the buffers'
// memory. After an error the record must not be stored.
func (c *core) seal(app string, rec *store.Record, in *buffers) error {
	k := c.keys[0]
	fields := [...]string{rec.ClientID, rec.UserID, rec.Addr, rec.UserAgent}
	size := len(fields)*binary.MaxVarintLen64 + len(rec.Data)
	for _, field := range fields {
		size += len(field)
	}
	envelope, aead, err := c.newEnvelope(in.envelope, recordMagic, &k.records, size)
	if err != nil {
		return err
	}
	plaintext := envelope
	for _, field := range fields {
		plaintext = appendText(plaintext, field)
	}
	plaintext = append(plaintext, rec.Data...)
	rec.ClientID, rec.UserID = c.known.of(k, app, rec.ClientID, rec.UserID)
	rec.Addr, rec.UserAgent = "", ""
	// A store may keep times to the millisecond. What is authenticated must be what it returns.
	rec.RotatedAt = rec.RotatedAt.Truncate(time.Millisecond)
	rec.LoggedIn = rec.LoggedIn.Truncate(time.Millisecond)
	rec.Created = rec.Created.Truncate(time.Millisecond)
	in.bound = appendBound(in.bound[:0], app, rec)
	in.envelope = aead.Seal(envelope, envelope[nonceAt:boxAt], plaintext[boxAt:], in.bound)
	rec.Data = in.envelope
	return nil
}

// open replaces the envelope of the record by its contents, in the memory of the envelope. Errors
// match ErrUnopenable; the record must not be used then.
func (c *core) open(app string, rec *store.Record) error {
	if c.readPlain && !isSealed(rec.Data) {
		return nil
	}
	k, err := c.keyOf(rec.Data, recordMagic)
	if err != nil {
		return err
	}
	in := c.getBuffers()
	defer c.buffers.Put(in)
	in.bound = appendBound(in.bound[:0], app, rec)
	plaintext, err := k.records.open(rec.Data[boxAt:boxAt], rec.Data, in.bound)
	if err != nil {
		return err
	}
	client, user := rec.ClientID, rec.UserID
	if err := setPlaintext(rec, plaintext); err != nil {
		return err
	}
	if k == c.keys[0] {
		c.known.learn(app, rec.ClientID, rec.UserID, client, user)
	}
	return nil
}

// setPlaintext sets the fields that the plaintext contains.
func setPlaintext(rec *store.Record, plaintext []byte) error {
	var ends [4][2]int
	at := 0
	for i := range ends {
		size, n := binary.Uvarint(plaintext[at:])
		if n <= 0 || size > uint64(len(plaintext)-at-n) {
			return errPlaintext
		}
		at += n
		ends[i] = [2]int{at, at + int(size)}
		at += int(size)
	}
	text := string(plaintext[:at])
	for i, field := range [...]*string{&rec.ClientID, &rec.UserID, &rec.Addr, &rec.UserAgent} {
		*field = text[ends[i][0]:ends[i][1]]
	}
	rec.Data = plaintext[at:len(plaintext):len(plaintext)]
	if len(rec.Data) == 0 {
		rec.Data = nil
	}
	return nil
}

// appendBound appends what is bound to the contents of a record: the associated data. Package
// documentation says what is not, and why.
func appendBound(b []byte, app string, rec *store.Record) []byte {
	b = append(b, recordMagic...)
	b = appendText(b, app)
	b = appendText(b, rec.ID)
	b = appendText(b, rec.ClientID)
	b = appendText(b, rec.UserID)
	b = append(b, rec.TokenHash[:]...)
	b = append(b, rec.PrevTokenHash[:]...)
	b = append(b, byte(rec.Renewal))
	for _, number := range [...]uint64{
		rec.TokenGeneration, rec.LoginGeneration, rec.Writes,
		instant(rec.Created), instant(rec.LoggedIn), instant(rec.RotatedAt),
		uint64(rec.Idle.Milliseconds()), uint64(rec.Lifetime.Milliseconds()),
	} {
		b = binary.BigEndian.AppendUint64(b, number)
	}
	return b
}

// instant returns the time in milliseconds, and a value of its own for the zero time.
func instant(t time.Time) uint64 {
	if t.IsZero() {
		return math.MaxUint64
	}
	return uint64(t.UnixMilli())
}

// buffers are memory for one call, which is used again.
type buffers struct{ bound, envelope []byte }

// maxKept is the longest envelope whose memory is used again.
const maxKept = 16 << 10

func (c *core) getBuffers() *buffers {
	if in, ok := c.buffers.Get().(*buffers); ok {
		return in
	}
	return &buffers{bound: make([]byte, 0, 512)}
}
