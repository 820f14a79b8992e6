// Package identity tells who sent a request.
//
// There are two ways, both a [Verifier]:
//
//   - [Off] believes the X-Tomehub-User header. It is for load tests and for a single user on a loopback address; whoever can
//     reach the server can be anybody.
//   - [Firebase] demands a Firebase ID token as bearer token and believes nothing else.
//
// What a caller of Firebase may rely on:
//
//   - Only RS256 signatures by a key of the key URL are accepted: no "none", no HS256 keyed with a public key, no key from the
//     token itself. Issuer, audience, expiry, issue and sign-in times and the user's id are checked as
//     https://firebase.google.com/docs/auth/admin/verify-id-tokens prescribes. Whether an account was disabled or its
//     sessions revoked since the token was issued is not known here: a token ends by itself, within an hour.
//   - Keys are fetched when first needed and then in the background, shortly before the max-age of the last answer ends. A
//     server starts while the key URL is down, answers keys_unavailable meanwhile, and recovers by itself. When the URL goes down
//     later, the last keys serve for a grace time beyond their max-age.
//   - A token by an unknown key causes one fetch, at most one in 30 s whatever is sent, so forged tokens cannot turn the
//     server against the key URL. After a rotation a new key is therefore known within 30 s at the latest.
//   - Verified tokens are remembered, by their SHA-256, until they expire (an hour at most) or their key is withdrawn. The number is
//     bounded. Refused tokens are not remembered, so they cannot push out good ones.
//   - No error and no log line holds the token or any part of it.
//
// Keys come from an own small source instead of MicahParks/keyfunc, which was tried first: keyfunc refreshes at a fixed
// interval and ignores max-age, does not read the certificates that Firebase's documented URL serves, makes requests wait for its
// limit on fetches for unknown keys (a minute by default), and starts a goroutine in its constructor.
package identity
