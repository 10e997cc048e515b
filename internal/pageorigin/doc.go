// Package pageorigin decides by the Origin header (RFC 6454 §7) whether a page may open a
// connection.
//
// A browser lets any page open a WebSocket to any host, with that host's cookies. So the server
// must check the page's origin: its own host, or one that [Patterns] allow. Both are compared in a
// canonical form: hosts in lower case and without a trailing dot, IPv6 addresses in their canonical
// form, without the default port of the scheme.
//
// A page that was loaded over plain HTTP may have been modified by anyone on the network. It is not
// a page of a site on HTTPS, even if the host is the same; only a pattern with the scheme http
// allows it.
package pageorigin
