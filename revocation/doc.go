// Package revocation is the denylist behind "revoked means refused": which
// tokens were revoked, until when that matters, and whether a given token is
// among them. It knows nothing of Caddy and nothing of HTTP.
//
// The way of a check is index, cache, store:
//
//   - the index, in memory, holds a fingerprint of every live record and never
//     answers "no" wrongly; nearly every check ends here;
//   - the cache holds whole records of what is being asked for now, so that
//     refusing stays cheap; it may forget at any time and is never asked
//     whether a token is not revoked;
//   - the [Store] is the durable copy, and settles what the index only suspects.
//
// The way of a revocation is store, index, cache, and only then the answer.
package revocation
