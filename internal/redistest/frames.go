package redistest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// frames parses the stream of a server, in pieces of any size, in RESP2 or RESP3
// (https://redis.io/docs/latest/develop/reference/protocol-spec/), and drops the pushes that may be
// lost. Everything else is forwarded unchanged. Streamed values (RESP3's "?") are an error, because
// no server sends them.
type frames struct {
	drops func() bool // called at the end of a push that may be dropped

	open   []int  // number of missing values of each open aggregate; empty between frames
	first  byte   // type of this frame, after its attributes; 0 as long as it is unknown
	line   []byte // the beginning of a line
	body   int    // number of missing bytes of a text, including the end of its line
	naming bool   // the next value is the kind of a push
	name   []byte // the kind
	held   []byte // the part of this frame that hasn't been forwarded
}

var errFrame = errors.New("not a reply of Redis")

// pass returns what can be forwarded now, of in and of earlier pieces.
func (f *frames) pass(in []byte) (out []byte, err error) {
	for len(in) > 0 {
		n, err := f.take(in)
		if err != nil {
			return nil, err
		}
		f.held = append(f.held, in[:n]...)
		in = in[n:]
		if len(f.open) > 0 || len(f.line) > 0 {
			continue
		}
		if f.first != '>' || !losable(f.name) || !f.drops() {
			out = append(out, f.held...)
		}
		f.first, f.name, f.held = 0, f.name[:0], f.held[:0]
	}
	if f.first != 0 && f.first != '>' {
		out = append(out, f.held...)
		f.held = f.held[:0]
	}
	return out, nil
}

// losable reports whether a push of this kind may be dropped without blocking the client.
func losable(kind []byte) bool {
	switch string(kind) {
	case "message", "smessage", "pmessage", "invalidate":
		return true
	}
	return false
}

// take consumes the next line or text, or its available part, and returns its size.
func (f *frames) take(in []byte) (int, error) {
	if f.body > 0 {
		n := min(f.body, len(in))
		if f.naming {
			f.name = append(f.name, in[:n]...)
		}
		if f.body -= n; f.body == 0 {
			if f.naming {
				f.name, f.naming = bytes.TrimSuffix(f.name, []byte("\r\n")), false
			}
			f.valueEnds()
		}
		return n, nil
	}
	end := bytes.IndexByte(in, '\n')
	if end < 0 {
		f.line = append(f.line, in...)
		return len(in), nil
	}
	line, ok := bytes.CutSuffix(append(f.line, in[:end]...), []byte("\r"))
	f.line = f.line[:0]
	if !ok || len(line) == 0 {
		return 0, fmt.Errorf("%w: the line %q", errFrame, line)
	}
	return end + 1, f.begin(line)
}

// begin processes the line that is, or begins, a value.
func (f *frames) begin(line []byte) error {
	if len(f.open) == 0 {
		f.open = append(f.open, 1)
	}
	if f.first == 0 && len(f.open) == 1 && line[0] != '|' {
		f.first = line[0]
	}
	switch line[0] {
	case '+', '-', ':', '_', '#', ',', '(':
		if f.naming {
			f.name, f.naming = append(f.name, line[1:]...), false
		}
		f.valueEnds()
		return nil
	}
	n, err := strconv.Atoi(string(line[1:]))
	if err != nil || n < -1 {
		return fmt.Errorf("%w: the length in the line %q", errFrame, line)
	}
	switch line[0] {
	case '$', '=', '!':
		if n < 0 { // the null of RESP2
			f.naming = false
			f.valueEnds()
			return nil
		}
		f.body = n + len("\r\n")
	case '*', '~':
		f.aggregate(n)
	case '>':
		f.aggregate(n)
		f.naming = f.first == '>' && len(f.open) == 2
	case '%':
		f.aggregate(2 * n)
	case '|': // not a value, but precedes one
		f.open[len(f.open)-1]++
		f.aggregate(2 * n)
	default:
		return fmt.Errorf("%w: the type of the line %q", errFrame, line)
	}
	return nil
}

func (f *frames) aggregate(values int) {
	f.naming = false
	if values <= 0 {
		f.valueEnds()
		return
	}
	f.open = append(f.open, values)
}

// valueEnds counts a value, and the aggregates that it completes.
func (f *frames) valueEnds() {
	for i := len(f.open) - 1; i >= 0; i-- {
		if f.open[i]--; f.open[i] > 0 {
			return
		}
		f.open = f.open[:i]
	}
}
