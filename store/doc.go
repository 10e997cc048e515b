// Package store says what a session backend must do.
//
// A backend implements [Store]: three methods with compare-and-set semantics. Everything else is an optional capability, a
// small interface of its own (see capabilities.go) that the bridge looks for once, when it is made, and does without where it
// can.
//
// The life of a [Record]: it is created by a Set with Revision 0, changed by Sets that name the revision they read, kept alive
// by touches that change nothing but Seen and Expires, and ends once: by Destroy, or by a sweep after Expires. An ended ID is
// never stored again, so a late writer can't bring a session back.
//
// Package store/storetest holds the conformance suite: each sentence of the contract is a test.
package store
