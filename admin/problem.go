package admin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/strictjson"
)

// problem is an error as the caller gets it (RFC 9457), of the type about:blank.
type problem struct {
	Title  string               `json:"title"`
	Status int                  `json:"status"`
	Detail string               `json:"detail"`
	Field  string               `json:"field,omitempty"`  // of a 400
	Reason bridge.MissingReason `json:"reason,omitempty"` // why there is no session
}

func (p *problem) Error() string { return p.Detail }

// badField is the error of a field of the input, a parameter or a header.
func badField(field, reason string) error {
	return &problem{Status: http.StatusBadRequest, Field: field, Detail: field + ": " + reason + "."}
}

// problemOf returns what the caller learns of an error. Texts of errors that aren't those of this
// package may contain internals.
func problemOf(err error) *problem {
	var (
		p       *problem
		input   *strictjson.Error
		value   *bridge.ValueError
		tooLong *http.MaxBytesError
	)
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &input):
		return &problem{Status: http.StatusBadRequest, Field: input.Field, Detail: input.Error() + "."}
	case errors.As(err, &tooLong):
		return &problem{Status: http.StatusRequestEntityTooLarge, Detail: "The body is too large."}
	case errors.Is(err, bridge.ErrStoreUnavailable):
		return &problem{
			Status: http.StatusServiceUnavailable, Detail: "The store doesn't answer. A change may have been stored.",
		}
	case errors.Is(err, bridge.ErrNodeSilent):
		return &problem{Status: http.StatusServiceUnavailable, Detail: "A node has not answered in time. Others have."}
	case errors.Is(err, bridge.ErrShutdown):
		return &problem{Status: http.StatusServiceUnavailable, Detail: "The app is shutting down."}
	case errors.Is(err, bridge.ErrTokenRotated):
		return &problem{
			Status: http.StatusConflict, Detail: "The token was replaced meanwhile.", Reason: bridge.MissingReplaced,
		}
	case errors.Is(err, bridge.ErrConflict):
		return &problem{Status: http.StatusConflict, Detail: "Others change the session again and again. Try again."}
	case errors.Is(err, bridge.ErrSessionMissing), errors.Is(err, bridge.ErrSessionGone),
		errors.Is(err, bridge.ErrCredentials), errors.Is(err, bridge.ErrTicket):
		return &problem{Status: http.StatusNotFound, Detail: "There is no such session.", Reason: bridge.MissingReasonOf(err)}
	case errors.Is(err, bridge.ErrRateLimited):
		return &problem{Status: http.StatusTooManyRequests, Detail: "The client does this too often."}
	case errors.Is(err, bridge.ErrConnMissing):
		return &problem{Status: http.StatusNotFound, Detail: "There is no such connection."}
	case errors.Is(err, bridge.ErrSessionTooLarge):
		return &problem{Status: http.StatusRequestEntityTooLarge, Detail: "The session would become too large."}
	case errors.Is(err, bridge.ErrTooManySessions):
		return &problem{Status: http.StatusForbidden, Detail: "The user has as many sessions as allowed."}
	case errors.Is(err, bridge.ErrUserID):
		return &problem{
			Status: http.StatusBadRequest, Field: "user",
			Detail: "user: it must be 1 to 255 bytes without NUL.",
		}
	case errors.Is(err, bridge.ErrRefused) && bridge.HTTPStatus(err) < http.StatusInternalServerError:
		return &problem{Status: bridge.HTTPStatus(err), Detail: "The application refuses the change."}
	case errors.As(err, &value):
		return &problem{
			Status: http.StatusBadRequest, Field: "data",
			Detail: "data: a key or its value can't be stored: keys of the library's own, and values that JSON can't express.",
		}
	case errors.Is(err, bridge.ErrUnsupported):
		return &problem{Status: http.StatusNotImplemented, Detail: "The app's store can't do this."}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &problem{Status: http.StatusServiceUnavailable, Detail: "The request has taken too long."}
	}
	return &problem{Status: http.StatusInternalServerError, Detail: "The request failed. The log says why."}
}

// fail answers with the error. It returns false if the answer has begun: then the connection has to
// be aborted.
func (c *call) fail(err error) bool {
	p := *problemOf(err)
	p.Title = http.StatusText(p.Status)
	if p.Status >= http.StatusInternalServerError && c.r.Context().Err() == nil {
		c.api.logger().LogAttrs(c.r.Context(), slog.LevelError, "admin request failed",
			slog.String("action", c.action()), slog.Int("status", p.Status), slog.Any("error", err))
	}
	if c.status != 0 {
		c.status = p.Status
		return false
	}
	h := c.w.Header()
	h.Del("ETag")
	h.Set("Content-Type", "application/problem+json")
	if p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	body, _ := json.Marshal(p) // strings and a number
	c.writeHeader(p.Status)
	_, _ = c.w.Write(append(body, '\n'))
	return true
}
