package admin

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// setETag says which revision of the session's values the answer is about.
func (c *call) setETag(revision uint64) {
	c.w.Header().Set("ETag", `"`+strconv.FormatUint(revision, 10)+`"`)
}

// condition is the If-Match of a request; the zero condition holds for every revision.
type condition struct {
	given     bool
	any       bool // *
	revisions []uint64
}

// ifMatch reads If-Match (RFC 9110 §13.1.1). A tag that this API has never set matches nothing.
func (c *call) ifMatch() (condition, error) { return c.tags("If-Match") }

func (c *call) tags(header string) (cond condition, err error) {
	lines := c.r.Header.Values(header)
	if len(lines) == 0 {
		return condition{}, nil
	}
	cond.given = true
	text := strings.TrimSpace(strings.Join(lines, ","))
	if text == "*" {
		cond.any = true
		return cond, nil
	}
	if len(text) > 1000 {
		return cond, badField(header, "it is too long")
	}
	for tag := range strings.SplitSeq(text, ",") {
		tag = strings.TrimSpace(tag)
		inner, quoted := strings.CutPrefix(strings.TrimPrefix(tag, "W/"), `"`)
		inner, closed := strings.CutSuffix(inner, `"`)
		if !quoted || !closed || strings.Contains(inner, `"`) {
			return cond, badField(header, `it must be *, or entity tags such as "7"`)
		}
		if n, err := strconv.ParseUint(inner, 10, 64); err == nil && !strings.HasPrefix(tag, "W/") {
			cond.revisions = append(cond.revisions, n)
		}
	}
	return cond, nil
}

// check returns the error of a condition that doesn't hold.
func (m *condition) check(revision uint64) error {
	if !m.given || m.any || slices.Contains(m.revisions, revision) {
		return nil
	}
	return &problem{
		Status: http.StatusPreconditionFailed,
		Detail: "The session has changed: it has revision " + strconv.FormatUint(revision, 10) + ".",
	}
}
