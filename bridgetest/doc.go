// Package bridgetest has helpers for the tests of applications that use package bridge.
//
// [New] returns a Bridge in memory that ends with the test. [NewClient] returns a browser for the
// application's handler, without a network: [Client] sends requests, logs in, and opens WebSockets
// ([ClientConn]). [Session] and [Conn] are for functions that a test calls directly; [Handle] calls one of
// Bridge.Messages. [Events]
// records what happens to sessions and connections.
//
// All of it works inside a testing/synctest bubble, where [Advance] moves the time, and outside of
// one. The functions fail the test that passes its testing.TB; they wait for [Limit] at most.
//
// The package imports testing, so only tests should import it.
package bridgetest
