// Package webclient provides servers and HTTP and WebSocket clients for tests: browsers with a
// cookie jar, over the loopback network or over pipes in a synctest bubble, and Pocket, which keeps
// the cookies of requests that a test passes to a handler directly. It doesn't depend on bridge.
//
// Methods whose names begin with Try return errors; the others fail the test. Waits end after
// await.Limit.
package webclient
