// Package testsite is a site for the tests of the browser client, in node and in browsers: an
// application behind a proxy that can be cut, whose server can be restarted, and which another
// process can control over HTTP.
//
//	site.go     the application and its restarts
//	answers.go  what it answers to requests of the client
//	kept.go     a server of kept messages, as far as a client sees it
//	proxy.go    the network in between
//	control.go  all of this for tests in other languages
package testsite
