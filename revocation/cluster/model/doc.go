// Package model checks the protocol by which nodes share a denylist: its tests go
// through every state that a small system can get into, and find in each the
// promises kept.
//
// The system has two or three nodes and an engine. Nodes revoke and restore,
// publish (and the answer is lost, or takes so long that they store it apart, or the
// message arrives later than anybody waits for it), lose their sync and begin another,
// receive one message at a time, send heartbeats and receive them, ask whether the feed
// is whole and vouch for it, repair key by key, send again what they owe, leave the
// cluster, sweep. They write what came in lazily to their files, and crash before or
// after that. The engine loses its tail, is wiped, goes on under numbers that it has
// given before, and is put back to what it had; it removes what has ended. Time passes,
// and clocks differ. What a step stands for in the code is said beside it; records are
// real ones, and merged by [revocation.Merge].
//
// What is promised:
//
//   - At the node that has answered a revocation with success it is enforced from
//     then on, through all of this, until it ends: it is in the file of that node. Other
//     nodes enforce it when it comes by, and may lose it again in a crash just then; but
//     not say that they know what the cluster knows before it has come by again.
//   - A restoration that was answered stays one until something is revoked again
//     that was not known to be when it began; and no node lets pass what has been
//     restored only there, without the cluster knowing.
//   - A node that has received a heartbeat knows all that was answered before it was
//     sent; also what the engine has lost since, and it never knew: its heartbeats
//     do not count before others had the time to say that they repair, and while they
//     do, or a node vouches for the feed that has waited itself.
//   - From every state, once all works again, the nodes become level; then all of
//     them and the engine know the same, and all that was ever answered, or stored
//     anywhere, is enforced everywhere. Of two decisions that were under way together either may win.
//
// Each rule of the protocol is there for something: the tests break one after the
// other, and the search has to find the way to a broken promise.
//
// # Bounds
//
// A scenario has one to four decisions on one or two keys, up to six messages, no
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
//   - After such a loss, whoever is connected has begun a Sync within the time that
//     nodes wait for it (cluster.Options.Settle), and says so if it repairs. What only
//     nodes know that are cut off for longer, or are not running, nobody else can tell:
//     until they are back, it passes where it was never known.
//   - What is left out: a node that had word within the last minute waits for the
//     repairs of others no longer than ten seconds (four times Settle), so that a large
//     repair does not keep a fleet from serving. It may lack what was acknowledged
//     elsewhere in the last moments before the loss, until that is repaired.
//   - Clocks differ by less than what has ended is remembered for, and nobody waits
//     for an answer as long as that. A revocation by a node that has forgotten a
//     restoration which another still remembers may not count there.
//   - What a node has received is in its file some moments later (revocation.Batch.Lazy).
//     If the engine loses it in those moments, and all who had received it are killed in
//     them too, only the node that was asked has it, and if that is not running, nobody
//     can tell. If its file is lost as well, so is the revocation. With NATS as it should
//     be these are three faults at once; where it does not sync what it acknowledges, and
//     power fails everywhere, two.
//   - What a file has is what the node had shown at some time, with the cursor of then:
//     that a Put is whole or not at all, and that what is late is written in its order and
//     before what is put after it, is for the tests of the stores.
//   - What was not answered with success may be lost, or spread. A refusal that is
//     stored anywhere spreads, also after a crash, unless nodes forget it for its end.
package model
