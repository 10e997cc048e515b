// Package oidc logs users in at an OpenID Connect provider, and ends their sessions when the
// provider says that they have logged out there.
//
// A [Provider] has four handlers. [Provider.Login] sends the visitor to the provider, with state,
// nonce and code verifier (PKCE) kept in the visitor's session. [Provider.Callback] takes them from
// there, once, exchanges the code for an ID token, verifies it and calls Session.Login. From then
// on the session is that of a user, and remembers its login ([LoginOf]). [Provider.Logout] ends the
// session here and, if wanted, at the provider. [Provider.BackChannelLogout] receives the logout
// tokens of the provider, and ends the sessions that they mean with their connections, on every
// node.
//
// # How a logout token finds its sessions
//
// A logout token names a session of the provider (sid), a user of the provider (sub), or both. The
// session itself keeps what its login said. Beside it, a namespace of the application's store has a
// record for each session that has logged in here, indexed by (issuer, client, sub) and (issuer,
// client, sid): so a logout reads only the sessions that it may mean, whichever node they are used
// on, and also after a restart.
//
// A logout may arrive while the login that it ends is still being completed here. So a login first
// stores a record that announces it, then looks for marks of logouts, and only then stores the
// session; a logout first leaves a mark, and then looks for records. Either the login sees the mark
// and is refused, or the logout sees the announcement and ends the visitor's session, which the
// login then can't change any more.
//
// # What it stands on
//
// Signatures, discovery and keys are those of github.com/coreos/go-oidc/v3, and the exchange of the
// code is that of golang.org/x/oauth2. The rules for logout tokens are those of OpenID Connect
// Back-Channel Logout 1.0 §2.6.
package oidc
