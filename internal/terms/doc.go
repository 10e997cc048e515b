// Package terms has what the nodes of different stores have in common whose sessions are in a server,
// such as Redis: a node's life, and what it holds.
//
// A node's life is a sequence of terms. In each it has another name, under which it joins the others
// and restores what it holds. A term ends when the server no longer knows the node: after a crash of
// the server, say, or because the node did not renew its lease in time. Then the next one begins,
// because others may be removing the old name.
//
// The package promises that a call that needs the node waits for a term, that what is to be held is
// asked for again in the next term if one ends meanwhile, and that no change is reported after
// [Life.Stop] has returned. How a node joins, and what runs in a term, is the store's.
package terms
