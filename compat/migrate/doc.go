// Package migrate has the code of docs/migrate.md: the same small application before and after the move
// from another library. One test uses each of them in the same way.
package migrate
