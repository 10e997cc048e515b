// Package sealed encrypts the sessions in another store: encryption at rest around any
// [store.Store].
//
// [New] puts a [Store] around the inner store. On its way in, a record is sealed: its values with
// the flashes, user, client, address and user agent become one ciphertext, which is the Data of the
// record in the inner store. On its way out it is opened. What can't be opened is [ErrUnopenable],
// never a session, never the absence of one. The capabilities of the Store are those of the inner
// store; find them with [store.As].
//
// # Algorithms
//
// AES-256-GCM of the standard library, with a random nonce of 96 bits for each write. A key of AES-GCM
// must be replaced after 2^32 random nonces (NIST SP 800-38D, 8.3), which a busy application reaches in
// weeks. So each Store derives keys of its own from the application's, each with a random salt of 96
// bits, which the records contain: one at its first write, another after 2^30 writes. With one of them
// two nonces are the same with a probability of 2^-37 at most. This takes a quarter less time than
// XChaCha20-Poly1305 would. On processors without instructions for AES it takes more, and the time
// depends on the key.
//
// Each purpose has a key of its own, derived with HKDF-SHA256. A passphrase becomes a key only through
// Argon2id ([PassphraseKey]). If there are no random bytes, the write fails.
//
// # What is bound
//
// The associated data of a record are the application, the ID, both token hashes and generations,
// Renewal, Created, LoggedIn, RotatedAt, Idle, Lifetime, Writes, and the hashes of user and client.
// Somebody who can write to the inner store can't change one of them, and can't put the contents of
// one session, application or moment together with these fields of another: the record becomes
// unopenable.
//
// Not bound is what stores change by themselves, or when records are copied: Seen and Expires (by a
// touch), Revision and WriteID. So somebody who can write to the inner store can
//
//   - replace a whole record by an older one of the same session: with it, old values and an old
//     token hash come back, perhaps of a user who has logged out of it since;
//   - restore a whole record that was destroyed, or destroy one;
//   - let a session expire earlier or later.
//
// No store can prevent that without a memory of its own that the attacker can't write to. Restrict
// the access to the inner store, too.
//
// # What the inner store still shows
//
// The ID, all times and counters, the SHA-256 of the tokens, and the approximate size of a record. The
// UserID and ClientID of its records are the first 128 bits of HMAC-SHA256 of the application and the
// ID, under keys derived for this purpose: without the key they can neither be reversed nor guessed and
// checked. They show which sessions of one application belong to the same user or client, how many
// there are, and when they are active, because the indexes of the inner store need that.
//
// # Keys
//
// The first key seals, all keys open. The hash of a user or client also depends on the key: lookups
// look under every key, each of which costs another query. To replace a key in a running
// application: give every process the new key as the last one; then give every process the new key as
// the first one; call [Store.Rewrap], once for each App; then remove the old key. While processes
// differ in their first key, a list of a user's or a client's sessions can miss one that two such
// processes write during that list. The end of all sessions of a user isn't affected, if the store
// is a store.UserLocker, as Redis is.
package sealed
