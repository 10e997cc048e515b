// Package erroranswer writes the answers to requests that fail.
//
// [Write] answers with a status and a sentence that the client may read: as
// application/problem+json (RFC 9457) if the request's Accept header prefers JSON, as text
// otherwise. An [Answer] is an answer that is composed before it is sent, by Write or by a function
// of the application, and can still be dropped for another one. [Answer.Restrict] keeps it an
// error, with the headers that it must have.
//
// The callers map errors to a status and a sentence.
package erroranswer
