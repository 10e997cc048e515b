// Package gateway is the layer between the bridge and a store: it turns a store's compare-and-set
// into sessions.
//
// A change travels so: Load reads a record and refuses one that is past its time; a Draft collects
// what is changed, key by key, against what was loaded; Commit applies those changes to what is
// stored by then, compare-and-set, and reports the outcome to the hooks while it holds the
// session's commit lock, so that events keep the order of the commits. Lock is the other, longer
// lock, held while an application's function runs; nothing that ends a session ever waits for it.
package gateway
