// Package ends remembers when and why sessions have ended, for a limited time and up to a limited
// number. A session that is forgotten can't be told from one that never existed.
package ends
