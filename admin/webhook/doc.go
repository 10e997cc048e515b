// Package webhook posts the events of a Bridge to other programs over HTTP.
//
// A Sender sends each event to every Endpoint that wants it, as JSON, signed by the scheme of
// Standard Webhooks 1.0 (standardwebhooks.com), for which receivers have libraries in most
// languages:
//
//	POST /hooks HTTP/1.1
//	Content-Type: application/json
//	Webhook-Id: msg_2mGHrRzLVdJNqTzWvXo4Ya
//	Webhook-Timestamp: 1767225600
//	Webhook-Signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=
//
//	{"type":"session.destroy","timestamp":"2026-01-01T00:00:00Z","data":{"session":"…",…}}
//
// A receiver checks the signature and answers with a status of 2xx within Options.Timeout.
// Otherwise the event is sent again later, up to Options.Attempts times, so a receiver may get an
// event twice, with the same Webhook-Id, and events out of order. What waits is in memory, at most
// Options.Queue events for each Endpoint. An event that is given up goes to Options.DeadLetter: after
// the last attempt, with a full queue, and at Close.
//
// The events contain no token, cookie or value, but IDs of sessions and users, and addresses.
package webhook
