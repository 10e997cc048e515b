package credentials

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"strconv"
	"sync"
	"time"
)

// signer signs and verifies values with one key. It makes what securecookie makes without a
// serializer, and accepts exactly what that accepts, at a fraction of the cost, which each request
// pays twice. It also returns the time of the signature, which securecookie doesn't expose.
//
// The form is base64url("date|base64url(value)|MAC"), where MAC is the HMAC-SHA256 of
// "name|date|base64url(value)".
type signer struct {
	maxAge  int64     // seconds; 0: no limit
	workers sync.Pool // of *signing
}

// signing is one signature or check in progress, with the buffers that it works in.
type signing struct {
	mac    hash.Hash
	cookie []byte
	text   []byte // the name and the decoded cookie behind it: the input of the MAC in one piece
	sum    [sha256.Size]byte
}

const (
	maxSigned      = 512 // bytes of a signed value; the package's own are shorter
	maxSignedValue = 48  // bytes of the value in it; likewise
)

// signedValue is a value with a valid signature.
type signedValue struct {
	buffer [maxSignedValue]byte
	size   int
	signed int64 // when, in Unix seconds
	stale  bool  // not with the first key
}

func newSigner(key []byte, maxAge time.Duration) *signer {
	return &signer{
		maxAge: int64(maxAge / time.Second),
		workers: sync.Pool{New: func() any {
			return &signing{mac: hmac.New(sha256.New, key)}
		}},
	}
}

// sign returns the cookie that has the value, signed now. A value of the package's own has at most
// maxSignedValue bytes.
func (f *signer) sign(name string, value []byte) string {
	w := f.workers.Get().(*signing)
	defer f.workers.Put(w)
	w.text = append(append(w.text[:0], name...), '|')
	start := len(w.text)
	w.text = append(strconv.AppendInt(w.text, time.Now().Unix(), 10), '|')
	w.text = base64.URLEncoding.AppendEncode(w.text, value)
	w.mac.Reset()
	w.mac.Write(w.text)
	w.text = w.mac.Sum(append(w.text, '|'))
	w.cookie = base64.URLEncoding.AppendEncode(w.cookie[:0], w.text[start:])
	return string(w.cookie)
}

// verify reports whether the cookie's signature is valid and its age is within the limit. If so it
// stores the signed value in v.
func (f *signer) verify(name, cookie string, v *signedValue) bool {
	if len(cookie) > maxSigned {
		return false
	}
	w := f.workers.Get().(*signing)
	defer f.workers.Put(w)
	w.cookie = append(w.cookie[:0], cookie...)
	w.text = append(append(w.text[:0], name...), '|')
	start := len(w.text)
	var err error
	if w.text, err = base64.URLEncoding.AppendDecode(w.text, w.cookie); err != nil {
		return false
	}
	date, rest, _ := bytes.Cut(w.text[start:], []byte{'|'})
	value, mac, ok := bytes.Cut(rest, []byte{'|'})
	if !ok {
		return false
	}
	w.mac.Reset()
	w.mac.Write(w.text[:start+len(date)+1+len(value)])
	if !hmac.Equal(mac, w.mac.Sum(w.sum[:0])) {
		return false
	}
	seconds, err := strconv.ParseInt(string(date), 10, 64)
	if err != nil || f.maxAge != 0 && seconds < time.Now().Unix()-f.maxAge {
		return false
	}
	if base64.URLEncoding.DecodedLen(len(value)) > len(v.buffer) {
		return false
	}
	v.size, err = base64.URLEncoding.Decode(v.buffer[:], value)
	v.signed = seconds
	return err == nil
}

func (v *signedValue) bytes() []byte { return v.buffer[:v.size] }

// keyring signs with the first of several keys, and verifies with all.
type keyring []*signer

func newKeyring(keys [][]byte, maxAge time.Duration) keyring {
	ring := make(keyring, len(keys))
	for i, key := range keys {
		ring[i] = newSigner(key, maxAge)
	}
	return ring
}

func (k keyring) sign(name string, value []byte) string { return k[0].sign(name, value) }

// verify reports whether the cookie's signature is valid with one of the keys.
func (k keyring) verify(name, cookie string, v *signedValue) bool {
	for i, key := range k {
		if key.verify(name, cookie, v) {
			v.stale = i > 0
			return true
		}
	}
	return false
}
