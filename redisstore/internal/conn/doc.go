// Package conn executes commands and scripts in Redis for a store.
//
// Every operation ends with its context or after the store's timeout, whichever comes first, and is
// never sent twice. Errors say which operation failed and, where Redis names a reason, how to fix
// it; they match the sentinels of this package, store.ErrClosed, or the cause of the context.
package conn
