package admin

import "net/http"

// route is a method of a resource. openapi.json describes each, and no other.
type route struct {
	method, pattern string
	action          string // what it does, for the log: its operationId in openapi.json
	scope           Scope
	changes         bool // it is logged
	open            bool // it needs no key
	handle          func(*call) error
	params          []string // in the URL's query
}

func routes() []route {
	read := func(method, pattern, action string, handle func(*call) error, params ...string) route {
		return route{method: method, pattern: pattern, action: action, scope: ScopeRead, handle: handle, params: params}
	}
	change := func(method, pattern, action string, handle func(*call) error) route {
		return route{method: method, pattern: pattern, action: action, scope: ScopeWrite, changes: true, handle: handle}
	}
	const get, post = http.MethodGet, http.MethodPost
	return []route{
		{method: get, pattern: "/v1/openapi.json", action: "getDocument", open: true, handle: (*call).document},
		read(get, "/v1/apps", "listApps", (*call).listApps),
		{
			method: get, pattern: "/v1/{app}/auth", action: "authenticate", scope: ScopeAuth,
			handle: (*call).authenticate, params: []string{"require", "activity"},
		},

		change(post, "/v1/{app}/sessions", "createSession", (*call).createSession),
		read(get, "/v1/{app}/sessions", "listSessions", (*call).listSessions, "activeWithin", "limit", "cursor"),
		read(post, "/v1/{app}/sessions/search", "searchSessions", (*call).searchSessions),
		read(post, "/v1/{app}/sessions/resolve", "resolveSession", (*call).resolve),
		change(post, "/v1/{app}/sessions/login", "login", (*call).login),
		change(post, "/v1/{app}/sessions/rotate", "rotate", (*call).rotate),
		change(post, "/v1/{app}/sessions/logout", "logout", (*call).logout),
		change(post, "/v1/{app}/sessions/destroy-user", "destroyUser", (*call).destroyUser),
		change(post, "/v1/{app}/sessions/destroy-all", "destroyAll", (*call).destroyAll),
		change(post, "/v1/{app}/sessions/sweep", "sweepSessions", (*call).sweepSessions),
		change(post, "/v1/{app}/sessions/cleanup", "cleanup", (*call).cleanup),
		read(get, "/v1/{app}/sessions/{id}", "getSession", (*call).getSession),
		change(http.MethodDelete, "/v1/{app}/sessions/{id}", "destroySession", (*call).destroySession),
		read(get, "/v1/{app}/sessions/{id}/data", "getData", (*call).getData),
		change(http.MethodPut, "/v1/{app}/sessions/{id}/data", "replaceData", (*call).replaceData),
		change(http.MethodPatch, "/v1/{app}/sessions/{id}/data", "patchData", (*call).patchData),
		change(http.MethodPut, "/v1/{app}/sessions/{id}/ttl", "setTTL", (*call).setTTL),
		change(post, "/v1/{app}/sessions/{id}/touch", "touchSession", (*call).touchSession),

		read(get, "/v1/{app}/conns", "listConns", (*call).listConns, "limit"),
		read(post, "/v1/{app}/conns/search", "searchConns", (*call).searchConns),
		change(post, "/v1/{app}/conns/close", "closeConns", (*call).closeConns),
		read(get, "/v1/{app}/conns/{id}", "getConn", (*call).getConn),
		change(post, "/v1/{app}/conns/{id}/close", "closeConn", (*call).closeConn),
		change(post, "/v1/{app}/notify", "notify", (*call).notify),
		read(get, "/v1/{app}/presence", "listPresence", (*call).listPresence),
		read(post, "/v1/{app}/presence/search", "searchPresence", (*call).searchPresence),

		read(get, "/v1/{app}/activity", "getActivity", (*call).activity, "within"),
		read(get, "/v1/{app}/events", "streamEvents", (*call).streamEvents, "type", "session", "client"),
		read(get, "/v1/{app}/series", "getSeries", (*call).getSeries, "after"),
		read(get, "/v1/{app}/ping", "ping", (*call).ping),
		read(get, "/v1/{app}/stats", "getStats", (*call).stats),
		read(get, "/v1/{app}/nodes", "listNodes", (*call).nodes),
		read(get, "/v1/{app}/health", "getHealth", (*call).health),
	}
}
