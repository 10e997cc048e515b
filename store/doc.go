// Package store defines the contract of a session backend.
//
// A backend implements [Store]: three methods with compare-and-set semantics. Everything else is an
// optional capability, a small interface of its own (see capabilities.go). The bridge checks for
// each capability once, in its constructor, with [As], and has a fallback where possible.
//
// The life of a [Record]: it is created by a Set with Revision 0, changed by Sets that name the
// revision they have read, and extended by touches that change nothing but Seen and Expires. It
// ends once: by Destroy, or by a sweep after Expires. An ended ID is never stored again, so that a
// late writer can't bring a session back.
//
// Package store/storetest is the conformance suite: each sentence of the contract is a test.
package store
