// Package tickets issues secrets that can be redeemed once, within a short time (ASVS 4.4.3–4).
//
// [Tickets.Issue] stores a record with the content of the ticket and the hash of its secret, and
// returns the ticket's text. [Tickets.Redeem] checks the text and destroys the record: the caller
// whose Destroy removes it has redeemed the ticket. Because a store lets only one caller do that, a
// ticket is redeemed at most once, even with several nodes and after restarts.
//
// The records are kept in a namespace of their own, apart from every application's sessions, if the
// store has namespaces and can find expired records. Otherwise this process keeps them in memory:
// at most [MaxInMemory], until it ends.
//
// Tickets that are not redeemed are removed soon after they have expired. The package logs nothing;
// no error contains a ticket's text.
package tickets
