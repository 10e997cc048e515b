// Package ctxlock has locks that are handed over in the order of arrival. A goroutine that waits
// for one waits on a channel, which a testing/synctest bubble takes for durably blocked; for a
// sync.Mutex it doesn't.
//
// A Lock can be waited for until a context ends: it is for locks that are held during calls of a
// store or of an application's function. A Mutex takes less memory and is as cheap as a sync.Mutex
// while nothing waits: it is for locks that there are many of.
package ctxlock
