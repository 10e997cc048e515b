package admin

import (
	"context"
	"net"
	"net/http"
)

// RouteInfo is a route, for tests.
type RouteInfo struct {
	Method, Pattern, Action string
	Scope                   Scope
	Changes, Open           bool
}

// RouteList returns the routes.
func RouteList() (list []RouteInfo) {
	for _, r := range routes() {
		list = append(list, RouteInfo{r.method, r.pattern, r.action, r.scope, r.changes, r.open})
	}
	return list
}

// Serve is the server of ListenAndServe.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error { return serve(ctx, l, h) }
