// Package model checks the protocol by which nodes share a denylist: its tests go
// through every state that a small system can get into, and find in each the
// promises kept.
//
// The system has two or three nodes and an engine. Nodes revoke and restore,
// publish (and the answer is lost, or the message arrives later than anybody waits
// for it), lose their sync and begin another, receive one message at a time, send
// heartbeats and receive them, repair key by key, send again what they owe, crash,
// leave the cluster, sweep. The engine loses its tail, is wiped, goes on under
// numbers that it has given before, and is put back to what it had; it removes what
// has ended. Time passes, and clocks differ. What a step stands for in the code is
// said beside it; records are real ones, and merged by [revocation.Merge].
//
// What is promised:
//
//   - At the node that has answered a revocation with success it is enforced from
//     then on, through all of this, until it ends.
//   - A restoration that was answered stays one until something is revoked again
//     that was not known to be when it began; and no node lets pass what has been
//     restored only there, without the cluster knowing.
//   - A node that has received a heartbeat knows all that was answered before it was
//     sent, as far as the engine had it then.
//   - From every state, once all works again, the nodes become level; then all of
//     them and the engine know the same, and all that was ever answered is enforced
//     everywhere. Of two decisions that were under way together either may win.
//
// Each rule of the protocol is there for something: the tests break one after the
// other, and the search has to find the way to a broken promise.
//
// # Bounds
//
// A scenario has two or three decisions on one or two keys, up to six messages, no
// more than two faults of the engine, and three ticks of time, and leaves out some
// of what can happen; the tests log how many states that comes to. States are told
// apart by a hash of 64 bits. Nothing is said about more of anything, nor about what
// only code does wrong: goroutines, timeouts, encodings. The suite of package
// clustertest and the tests with faults are for that.
//
// # What is taken for granted
//
//   - What the engine has after a fault is the beginning of what it had at some time,
//     and what has followed since. It loses no message in the middle, and none from
//     the front but those that have ended. No message is like another: the witness
//     cannot err.
//   - A sync ends when the engine loses what it reads (a test shows that it has to).
//   - Between such a loss and the repair nobody can tell a node that never knew a
//     record of it: it lets pass, and says that it knows all that the engine does.
//   - Clocks differ by less than what has ended is remembered for, and nobody waits
//     for an answer as long as that. A revocation by a node that has forgotten a
//     restoration which another still remembers may not count there.
//   - What was not answered with success may be lost, spread, or stay where it is.
package model
