package kept

// Mark is the first byte of a frame: U+001E, the record separator.
const Mark = 0x1e

// Kind is the kind of a Frame.
type Kind uint8

// The kinds.
const (
	Message Kind = iota // a message that is kept
	Ready               // the connection has what it missed: from now on it is live
	Gone                // messages after the position that the client had are lost
)

var suffixes = [...]string{Message: "", Ready: " ready", Gone: " gone"}

// Frame is what a Reader hands to its connection. It must not be changed.
type Frame struct {
	Kind   Kind
	Binary bool   // otherwise Data is text
	Data   []byte // of a Message

	log    int8   // of the Reader; -1: neither
	number uint64 // of the last message of that log that the client has with this frame
}

// Encode returns the frame as it is sent at the position: the mark, a header, and the data.
func (f *Frame) Encode(position string) []byte {
	b := make([]byte, 0, len(position)+len(suffixes[Ready])+2+len(f.Data))
	b = append(b, Mark)
	b = append(b, position...)
	b = append(b, suffixes[f.Kind]...)
	b = append(b, '\n')
	return append(b, f.Data...)
}

// Escape returns a message that isn't kept as it is sent to a client that knows frames.
func Escape(data []byte) []byte {
	if len(data) == 0 || data[0] != Mark {
		return data
	}
	return append([]byte{Mark, '\n'}, data...)
}
