package admin

import (
	"log/slog"
	"net/http"
)

// audit logs a change, or the attempt of a caller who may make it.
func (c *call) audit() {
	if c.route == nil || !c.route.changes || !c.admitted {
		return
	}
	by := "(this machine)"
	if c.key != nil {
		by = c.key.name
	}
	attrs := []slog.Attr{
		slog.String("action", c.route.action), slog.String("key", by), slog.String("app", c.app),
		slog.Int("status", c.status), slog.String("addr", hostOf(c.r.RemoteAddr)),
	}
	if c.b != nil && c.session != "" {
		attrs = append(attrs, slog.String("session", c.b.LogHash(c.session)))
	}
	if c.counted && c.status < http.StatusBadRequest {
		attrs = append(attrs, slog.Int("count", c.affected))
	}
	c.api.logger().LogAttrs(c.r.Context(), slog.LevelInfo, "admin change", attrs...)
}

// action returns what the call does, for logs.
func (c *call) action() string {
	if c.route == nil {
		return "none"
	}
	return c.route.action
}
