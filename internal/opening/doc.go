// Package opening decides which session the credentials of a request open, which client the request
// is attributed to, which token its response sets, and whether that token is still right when the
// response leaves.
//
// An [Opener] serves all requests. [Opener.Begin] reads what a request presents into its
// [Exchange], which collects what the response sets; [Opener.BeginToken] begins one without a
// request, for a token that the application has. [Exchange.Open] tries the sessions that are
// presented and returns an [Opened]: the record of the first one whose token is proved, and the
// [Standing] of that token, or the [Rejection] if there is none. The [Proof] of an Opened belongs
// to the draft of the session that the request changes: it decides who may replace the token, and
// renews a token that is old.
//
// The package promises that:
//   - a session opens only with its current token, or within the grace periods with the previous
//     one; the client cookie opens nothing;
//   - a token that a login has replaced opens the session to nothing but another login of the same
//     user, from the same browser, within the grace period;
//   - a browser that has logged in since a request began never gets another session's cookie from
//     the response to that request, however late it is.
//
// It loads and stores through internal/gateway, calls back only through [Config], and logs nothing.
package opening
