package strictjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxDepth is how deep objects and arrays may be nested, the outermost one included.
const MaxDepth = 64

// Error is why a field, or the whole text, is not accepted.
type Error struct {
	Field  string // its path, such as "data.cart"; "" for the whole
	Reason string
}

func (e *Error) Error() string {
	if e.Field == "" {
		return e.Reason
	}
	return e.Field + ": " + e.Reason
}

// Parse returns the object that the text consists of. An empty text is an empty object if
// mayBeEmpty is true.
func Parse(text []byte, mayBeEmpty bool) (*Object, error) {
	if len(text) == 0 && mayBeEmpty {
		return &Object{}, nil
	}
	if err := Check(text); err != nil {
		return nil, err
	}
	return newObject(text, "")
}

// Check returns an error unless the text is one value that the package accepts.
func Check(text []byte) error {
	if !utf8.Valid(text) {
		return &Error{"", "the text is not UTF-8"}
	}
	if !json.Valid(text) {
		return syntaxError(text)
	}
	c := checker{text: text}
	return c.value(nil)
}

// syntaxError says where the text stops being JSON.
func syntaxError(text []byte) error {
	var value json.RawMessage
	var syntax *json.SyntaxError
	if errors.As(json.Unmarshal(text, &value), &syntax) {
		return &Error{"", fmt.Sprintf("the text is not JSON: %v, after %d bytes", syntax, syntax.Offset)}
	}
	return &Error{"", "the text is not JSON"}
}

// checker walks through a text that is valid JSON.
type checker struct {
	text []byte
	at   int
}

// value checks the next value. path are the names and indexes that lead to it.
func (c *checker) value(path []string) error {
	if len(path) >= MaxDepth {
		switch c.peek() {
		case '{', '[':
			return &Error{join(path[:1]), fmt.Sprintf("it is nested more than %d levels deep", MaxDepth)}
		}
	}
	switch c.peek() {
	case '{':
		return c.object(path)
	case '[':
		return c.array(path)
	case '"':
		_, err := c.string(path)
		return err
	case 't', 'n':
		c.at += 4
	case 'f':
		c.at += 5
	default:
		return c.number(path)
	}
	return nil
}

func (c *checker) object(path []string) error {
	c.at++
	names := make(map[string]struct{})
	for c.peek() != '}' {
		name, err := c.string(path)
		if err != nil {
			return err
		}
		here := append(path, name)
		if _, twice := names[name]; twice {
			return &Error{join(here), "it occurs twice"}
		}
		names[name] = struct{}{}
		c.skip(':')
		if err := c.value(here); err != nil {
			return err
		}
		c.skip(',')
	}
	c.at++
	return nil
}

func (c *checker) array(path []string) error {
	c.at++
	for i := 0; c.peek() != ']'; i++ {
		if err := c.value(append(path, strconv.Itoa(i))); err != nil {
			return err
		}
		c.skip(',')
	}
	c.at++
	return nil
}

// string returns the next string.
func (c *checker) string(path []string) (string, error) {
	c.peek()
	begin, escaped := c.at, false
	for c.at++; c.text[c.at] != '"'; c.at++ {
		if c.text[c.at] == '\\' {
			escaped = true
			c.at++
		}
	}
	c.at++
	quoted := c.text[begin:c.at]
	if !escaped {
		return string(quoted[1 : len(quoted)-1]), nil
	}
	if loneSurrogate(quoted) {
		return "", &Error{join(path), "it has a surrogate without its other half, which is no character"}
	}
	var s string
	err := json.Unmarshal(quoted, &s)
	return s, err
}

func (c *checker) number(path []string) error {
	begin := c.at
	for c.at < len(c.text) && strings.IndexByte("+-.0123456789eE", c.text[c.at]) >= 0 {
		c.at++
	}
	if _, err := strconv.ParseFloat(string(c.text[begin:c.at]), 64); err != nil {
		return &Error{join(path), "the number is too large"}
	}
	return nil
}

// peek returns the next byte that isn't white space.
func (c *checker) peek() byte {
	for ; c.at < len(c.text); c.at++ {
		switch b := c.text[c.at]; b {
		case ' ', '\t', '\r', '\n':
		default:
			return b
		}
	}
	return 0
}

// skip skips the byte if it is the next one.
func (c *checker) skip(b byte) {
	if c.peek() == b {
		c.at++
	}
}

// loneSurrogate reports whether a string has \u escapes of surrogates that are no pair.
func loneSurrogate(quoted []byte) bool {
	high := false // the last escape was a high surrogate
	for i := 0; i < len(quoted); {
		var unit uint64
		n := 1
		if quoted[i] == '\\' {
			n = 2
			if quoted[i+1] == 'u' {
				n = 6
				unit, _ = strconv.ParseUint(string(quoted[i+2:i+6]), 16, 32)
			}
		}
		low := unit >= 0xDC00 && unit <= 0xDFFF
		if low != high {
			return true
		}
		high = unit >= 0xD800 && unit <= 0xDBFF
		i += n
	}
	return high
}

// maxPath is how much of a path an error shows.
const maxPath = 200

func join(path []string) string {
	joined := strings.Join(path, ".")
	if len(joined) > maxPath {
		joined = strings.ToValidUTF8(joined[:maxPath], "") + "…"
	}
	return joined
}
