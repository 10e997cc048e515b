// Package logqueue writes log lines for goroutines that must not wait for a slow log handler.
//
// A [Queue] writes its lines in order, in one goroutine that runs for as long as there are any. A
// handler that blocks delays lines and nothing else. The number of lines that wait is limited:
// further ones are dropped, and their number is reported once the handler goes on.
package logqueue
