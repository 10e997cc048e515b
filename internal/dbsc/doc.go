// Package dbsc reads and writes what the server and the browser exchange in the protocol Device
// Bound Session Credentials (W3C draft).
//
// A response offers a registration with the header of [Offer]. The browser makes a key and sends a
// [ReadProof] whose JWT [Register] verifies: it contains the [Key]. The answer are [Instructions].
// From then on the browser proves the key, with a JWT that [Key.Verify] verifies, whenever the
// cookie that the instructions name has expired. [ChallengeHeader] has the challenge that the
// browser signs.
//
// The package promises that a JWT is accepted only with one of the algorithms that the caller
// names, with a key of that algorithm, and in linear time with a limit on its length. It doesn't
// know which challenges are valid, keeps no state, and logs nothing.
package dbsc
