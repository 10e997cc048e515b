// Package otelsession shows a Bridge to OpenTelemetry: [Statistics] has its statistics as
// instruments, and [Store] has a span and a duration for each call of its store.
//
// The span of a request is that of the application's own instrumentation, such as otelhttp, around
// Bridge.Handler; the spans of the store are its children.
//
// # Sockets
//
// The span of a handshake ends with the handshake, while its connection may stay open for days. A
// trace that grew with each message would be of no use, so the store's calls get no span then,
// unless the application begins one for the message: the example shows how. The link leads from the
// message back to the handshake.
//
// An exporter to Prometheus gives the instruments the names of package metrics, so that its
// dashboard shows them, too.
package otelsession
