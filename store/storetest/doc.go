// Package storetest tells whether a session backend keeps the contract of package store.
//
// Every case carries the sentence of the contract that it proves, and prints it when it fails. What a backend doesn't
// implement, of the optional capabilities, isn't tested: the log says which. After each case the listing and the indexes are
// compared with what Get returns.
package storetest
