package bridge

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

// verifier verifies cookies that securecookie has signed with one key and no serializer. It accepts what securecookie accepts, at a
// fraction of the cost, which every request pays twice, and it also says when a cookie was signed, which securecookie keeps to itself.
//
// The form is base64url("date|base64url(value)|MAC"), the MAC being HMAC-SHA256 of "name|date|base64url(value)".
type verifier struct {
	maxAge  int64     // seconds; 0: no limit
	workers sync.Pool // of *verification
}

// verification is one in progress, with the buffers that it works in.
type verification struct {
	mac    hash.Hash
	cookie []byte
	text   []byte // the name, and the decoded cookie behind it: what the MAC is of stands in one piece
	sum    [sha256.Size]byte
}

const (
	maxSigned      = 512 // bytes of a cookie; more than any of ours has
	maxSignedValue = 48  // bytes of the value in one; likewise
)

// signedValue is a value whose signature holds.
type signedValue struct {
	buffer [maxSignedValue]byte
	size   int
	signed time.Time
}

func newVerifier(key []byte, maxAge time.Duration) *verifier {
	return &verifier{
		maxAge: int64(maxAge / time.Second),
		workers: sync.Pool{New: func() any {
			return &verification{mac: hmac.New(sha256.New, key)}
		}},
	}
}

// verify reports whether the cookie's signature holds, and its age. If so it puts what was signed into v.
func (f *verifier) verify(name, cookie string, v *signedValue) bool {
	if len(cookie) > maxSigned {
		return false
	}
	w := f.workers.Get().(*verification)
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
	v.signed = time.Unix(seconds, 0)
	return err == nil
}

func (v *signedValue) bytes() []byte { return v.buffer[:v.size] }

// verified reports whether the cookie's signature holds with one of the keys. checked counts the cookies of a request that were
// checked; after maxChecked of them none is.
func verified(name, cookie string, keys []*verifier, v *signedValue, checked *int) bool {
	if *checked == maxChecked {
		return false
	}
	*checked++
	for _, key := range keys {
		if key.verify(name, cookie, v) {
			return true
		}
	}
	return false
}
