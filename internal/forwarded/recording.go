package forwarded

import "unicode/utf8"

// Extent is how much of something is recorded.
type Extent int

// The extents.
const (
	Whole       Extent = iota
	Nothing            // ""
	NetworkOnly        // of an address its Network
)

// MaxText is how many bytes of a text that a client chooses are recorded.
const MaxText = 256

// Recording is what is recorded of clients: of their addresses, and of their User-Agent headers.
type Recording struct{ Addrs, UserAgents Extent }

// Addr returns what is recorded of an address.
func (r *Recording) Addr(addr string) string {
	switch r.Addrs {
	case Nothing:
		return ""
	case NetworkOnly:
		return Network(addr)
	}
	return addr
}

// UserAgent returns what is recorded of a User-Agent header.
func (r *Recording) UserAgent(agent string) string {
	if r.UserAgents == Nothing {
		return ""
	}
	return Text(agent)
}

// Text returns at most MaxText bytes of a text, without a part of a character at the end.
func Text(text string) string {
	if len(text) <= MaxText {
		return text
	}
	n := MaxText
	for n > MaxText-utf8.UTFMax && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
