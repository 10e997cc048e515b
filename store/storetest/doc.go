// Package storetest tests that a session backend keeps the contract of package store.
//
// Each case has the sentence of the contract that it tests, and prints it when it fails. Optional
// capabilities that a backend doesn't have are not tested, and are logged. After each case the
// listing and the indexes are compared with Get.
package storetest
