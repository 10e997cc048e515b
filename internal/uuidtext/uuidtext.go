// Package uuidtext turns UUIDs into their 16 bytes and back, for stores that keep IDs in as few
// bytes as they need. It takes one form of text only, so that an ID comes back unchanged.
package uuidtext

import "encoding/hex"

// Size is how many bytes a UUID stands for.
const Size = 16

// Parse returns the bytes of a UUID in the form that Format gives, lower case with hyphens, and of
// no other.
func Parse(s string) (raw [Size]byte, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return raw, false
	}
	at := 0
	for i := 0; i < 36; i += 2 {
		switch i {
		case 8, 13, 18, 23:
			i++
		}
		high, low := hexValues[s[i]], hexValues[s[i+1]]
		if high|low > 15 {
			return raw, false
		}
		raw[at] = high<<4 | low
		at++
	}
	return raw, true
}

// Format returns the text of a UUID.
func Format(raw [Size]byte) string {
	var b [36]byte
	hex.Encode(b[:8], raw[:4])
	b[8] = '-'
	hex.Encode(b[9:13], raw[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], raw[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], raw[8:10])
	b[23] = '-'
	hex.Encode(b[24:], raw[10:])
	return string(b[:])
}

// hexValues are the values of the lower-case hexadecimal digits; 255: it is none.
var hexValues = func() (values [256]byte) {
	for i := range values {
		values[i] = 255
	}
	for i, c := range []byte("0123456789abcdef") {
		values[c] = byte(i) //nolint:gosec // below 16
	}
	return values
}()
