// Package cachecontrol decides by a response's headers whether caches may store it, and forbids
// that for a response that holds a credential. It reads and writes only headers.
//
// Besides Cache-Control (RFC 9111 §5.2.2) and Expires there are headers for one kind of cache,
// which takes them in preference to Cache-Control: CDN-Cache-Control and those named like it (RFC
// 9213), Surrogate-Control, Edge-Control and X-Accel-Expires.
//
// "Vary: Cookie" is for responses that only depend on a cookie. For a response with a credential it
// is not enough: many caches ignore it.
package cachecontrol
