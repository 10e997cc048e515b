package erroranswer

import (
	"strconv"
	"strings"
)

// prefersJSON reports whether an Accept header (RFC 9110 §12.5.1) asks for JSON rather than for
// text. JSON must be named. If text and JSON have the same weight, the first one wins; a wildcard
// means text, and comes last.
func prefersJSON(accept []string) bool {
	var json, text preference
	position := 0
	for _, line := range accept {
		for part := range strings.SplitSeq(line, ",") {
			mediaType, params, _ := strings.Cut(part, ";")
			switch kind := strings.ToLower(strings.TrimSpace(mediaType)); {
			case kind == "application/json",
				strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json"):
				json.note(weight(params), position)
			case kind == "*/*":
				text.note(weight(params), int(^uint(0)>>1))
			case strings.HasPrefix(kind, "text/"):
				text.note(weight(params), position)
			}
			position++
		}
	}
	return json.weight > text.weight || json.weight > 0 && json.weight == text.weight && json.position < text.position
}

// preference is the weight of a media range, and its position in the header.
type preference struct {
	weight   float64
	position int
}

func (p *preference) note(weight float64, position int) {
	if weight > p.weight {
		*p = preference{weight, position}
	}
}

// weight returns the q of a media range's parameters: 1 by default, 0 for one that is invalid.
func weight(params string) float64 {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(param, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return 0
		}
		return q
	}
	return 1
}
