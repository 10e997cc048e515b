package codec

import (
	"encoding/binary"
	"time"
)

// Numbers have 6 bytes, big-endian, because the scripts process them and Lua represents integers
// exactly only up to 53 bits.

// NumberSize is the size of an encoded number in bytes.
const NumberSize = 6

// MaxNumber is the largest number that can be encoded.
const MaxNumber = 1<<48 - 1

func number(b []byte) uint64 {
	return uint64(binary.BigEndian.Uint16(b))<<32 | uint64(binary.BigEndian.Uint32(b[2:]))
}

func putNumber(b []byte, n uint64) {
	binary.BigEndian.PutUint16(b, uint16(n>>32)) //nolint:gosec // the upper bits
	binary.BigEndian.PutUint32(b[2:], uint32(n)) //nolint:gosec // the lower bits
}

func appendNumber(b []byte, n uint64) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(n>>32)) //nolint:gosec // the upper bits
	return binary.BigEndian.AppendUint32(b, uint32(n))  //nolint:gosec // the lower bits
}

// NumberText returns n as scripts compare it, at most MaxNumber.
func NumberText(n uint64) string {
	var b [NumberSize]byte
	putNumber(b[:], min(n, MaxNumber))
	return string(b[:])
}

// epochMillis is the time between the zero time.Time and the Unix epoch, in milliseconds.
const epochMillis = 62135596800000

// Millis returns a time as it is stored: in milliseconds since the zero time.Time, which is 0.
// Times after the year 8900 are stored as the last representable one.
func Millis(t time.Time) uint64 {
	return uint64(min(max(t.UnixMilli()+epochMillis, 0), MaxNumber)) //nolint:gosec // in range
}

func timeOf(millis uint64) time.Time {
	if millis == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(millis) - epochMillis).UTC() //nolint:gosec // in range
}
