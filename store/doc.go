// Package store defines the contract of a session backend.
//
// A backend implements [Store]: three methods with compare-and-set semantics. Everything else is an
// optional capability, a small interface of its own, such as [Lister]. The bridge checks for
// each capability once, in its constructor, with [As], and has a fallback where possible.
//
// The life of a [Record]: it is created by a Set with Revision 0, changed by Sets that name the
// revision they have read, and extended by touches that change nothing but Seen and Expires. It
// ends once: by Destroy, or by a sweep after Expires. A Set with a revision of an ended record returns
// ErrNotFound, so that a late writer can't bring a session back. A store needn't remember ended IDs:
// no caller creates a session with one.
//
// Package store/storetest is the conformance suite: each sentence of the contract is a test.
package store
