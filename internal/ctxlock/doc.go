// Package ctxlock has locks that are handed over in the order of arrival. A goroutine that waits
// for one is durably blocked in a testing/synctest bubble; one that waits for a sync.Mutex isn't.
//
// A Lock can be waited for until a context ends: it is for locks that are held during calls of a
// store or of an application's function. A Mutex takes less memory and is as cheap as a sync.Mutex
// while nothing waits: it is for structs of which there are many. The order in which locks are taken is
// in docs/architecture.md.
package ctxlock
