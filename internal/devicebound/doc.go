// Package devicebound binds sessions to a key of their browser's device, with the protocol of
// internal/dbsc.
//
// [Devices.Offer] has the response to a login offer a registration. [Devices.Serve] answers the
// browser's registrations and refreshes; both set the bound cookie, which is short-lived.
// [Devices.Check] says whether a request that presents a session's token proves its device, too.
//
// The state is a part of the session's record: the key, how often it has been proved, and when.
// Each change is a compare-and-set, so the nodes on one store agree, and nothing is left when the
// session has ended. Challenges and bound cookies are signed with the application's keys and name
// the session, its login, and the number of the proof; none of them is stored.
//
// The package promises that:
//   - a binding has no effect until the browser has presented a bound cookie, or another proof: a
//     registration whose answer is lost locks nobody out;
//   - a challenge leads to one new bound cookie. The same proof sent again within [Overlap] gets
//     what its lost answer had, and later a new challenge;
//   - a bound cookie is accepted until its own time is over: [Config.Life] after the proof for which
//     it was issued, and [MaxLife] at most;
//   - a failure of the store is answered with 503, which browsers take for a passing trouble.
//
// It logs nothing.
package devicebound
