// Package endtoend provides a whole application with its server, browsers and sockets over real
// connections, for tests that cover a store, HTTP and WebSockets together. Its pages are
// /increment, /count, /id, /client, /user, /login?user=NAME, /rotate and /logout; its socket
// /socket takes the same words.
package endtoend
