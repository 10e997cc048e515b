package redistest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// frames follows what a server sends, in pieces of any size, in RESP2 or RESP3 (https://redis.io/docs/latest/develop/reference/protocol-spec/), and leaves
// out the pushes that can be lost. All else passes as it comes. Streamed values (RESP3's "?") are an error: no server sends any.
type frames struct {
	drops func() bool // called at the end of a push that can be lost

	open   []int  // how many values are still to come, of each aggregate that is open around the next one; empty between frames
	first  byte   // the type of this frame, behind its attributes; 0 as long as that isn't known
	line   []byte // what has come of a line
	body   int    // how many bytes of a text are still to come, with the end of its line
	naming bool   // the next value is a push's kind
	name   []byte // which is this
	held   []byte // what has come of this frame and hasn't been passed on
}

var errFrame = errors.New("not an answer of Redis")

// pass returns what of in, and of what came before, is to be passed on now.
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

// losable reports whether a push of this kind may get lost without anybody waiting for it.
func losable(kind []byte) bool {
	switch string(kind) {
	case "message", "smessage", "pmessage", "invalidate":
		return true
	}
	return false
}

// take takes the next line or text, or what there is of it, and returns its size.
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

// begin is told of the line that a value is, or begins with.
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
		if n < 0 { // RESP2 has no other null
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
	case '|': // is no value, but comes before one
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

// valueEnds counts a value, and the aggregates that end with it.
func (f *frames) valueEnds() {
	for i := len(f.open) - 1; i >= 0; i-- {
		if f.open[i]--; f.open[i] > 0 {
			return
		}
		f.open = f.open[:i]
	}
}
