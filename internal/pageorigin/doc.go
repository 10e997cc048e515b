// Package pageorigin decides whether the page that opens a connection may, by the Origin header that its browser sends (RFC 6454 §7).
//
// A browser lets any page open a WebSocket to any host, with that host's cookies. So the server has to look where the page is from:
// from the server's own host, or from one that [Patterns] name. Both sides are compared in one spelling: hosts in lower case and
// without a trailing dot, IPv6 addresses in their canonical form, the default port of the scheme left out.
//
// A page that came over plain HTTP may have been written by anybody on the network. It is no page of a site that is on HTTPS, even
// if the host is the same; only a pattern that names its scheme lets it in.
package pageorigin
