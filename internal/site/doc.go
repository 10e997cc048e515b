// Package site knows the site that a request has come to, from what the operator has said of it and
// of its proxies: whether it is on HTTPS, where the client is, and whether a page or a program may
// open a connection.
//
// It combines internal/forwarded, which reads the headers of proxies, and internal/pageorigin, which
// compares origins. [Site.CheckDanger] refuses what exposes credentials, unless the application
// insists ([Config.Insecure]).
package site
