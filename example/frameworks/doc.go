// Command frameworks runs one small application on the framework or WebSocket library of your choice:
//
//	go run . gin      # then http://127.0.0.1:3000, in two tabs
//
// A visitor can log in and out. A counter in the session is shared by the page and its connection,
// and a logout closes the connection. Each folder has the application for one framework, and README.md
// lists them.
package main
