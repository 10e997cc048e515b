// Package gateway is the layer between the bridge and a store: it turns a store's compare-and-set
// into sessions.
//
// A change takes three steps. Load reads a record and refuses one that is past its time. A Draft
// collects the changes, key by key, relative to that record. Commit applies them to what is stored
// by then, with compare-and-set, and reports the outcome to the hooks while it holds the session's
// commit lock, so that events keep the order of the commits. Lock has the outer lock, held while an
// application's function runs; ending a session never waits for it.
package gateway
