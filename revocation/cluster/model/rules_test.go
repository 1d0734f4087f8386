package model

import "github.com/caddy-token-revocation/caddy-token-revocation/revocation"

// rules are those of the protocol. A mutation breaks one.
type rules struct {
	// merge is revocation.Merge.
	merge func(a, b revocation.Record) revocation.Record

	// witness: a cursor is proven by what stands there, not by its number alone
	// (natscluster.Engine.proven).
	witness bool
	// forget: a snapshot voids the cursor that the store has
	// (cluster.receiver.Snapshot).
	forget bool
	// keepLate: no cursor is kept from the beginning of a snapshot to the end of
	// the repair (cluster.receiver.Deliver).
	keepLate bool
	// keepAfter: nor before a heartbeat that was sent after the repair has come by
	// (cluster.receiver.Beat).
	keepAfter bool
	// repair: after a snapshot a node sends what the feed lacks
	// (cluster.receiver.repair).
	repair bool
	// together: records and their cursor become durable together
	// (revocation.Store.Put).
	together bool
	// asked: what this node was asked for is in its file when it has come by
	// (cluster.receiver.keep).
	asked bool
	// sure: also what is answered as it was so already (revocation.Denylist.reverse).
	sure bool
	// sending: a heartbeat counts from when it was sent (cluster.receiver.beat).
	sending bool
	// order: a heartbeat takes the way that records take (cluster.Engine.Beat).
	order bool
	// ends: a Sync does not outlive the data that it reads (cluster.Engine.Sync).
	ends bool

	// settles: a heartbeat counts only some time after the Sync began, in which all
	// who are connected have found what the engine has lost (cluster.doubt).
	settles bool
	// doubtsAll: also where the cursor was proven.
	doubtsAll bool
	// says: who repairs says so, from the snapshot on (cluster.receiver.note).
	says bool
	// heeds: and then others wait until nobody does any more (cluster.doubt).
	heeds bool
	// knows: only a node that waits for nobody vouches for the feed
	// (cluster.doubt).
	knows bool
	// whole: and only once it has repaired what it knows to be lacking
	// (cluster.receiver.answer).
	whole bool
	// live: and it counts only as the answer to a question that came by in the same
	// Sync (cluster.doubt).
	live bool

	// cameBy: a decision is answered when the feed has brought it back, and no
	// sooner (cluster.Node.publish).
	cameBy bool
	// again: a revocation which finds then that a restoration came before it is
	// decided again (revocation.Denylist.Revoke).
	again bool
	// told: a restoration that finds then that it has to last longer is published
	// again (revocation.Denylist.Restore).
	told bool
	// inFeed: a restoration which the cluster did not acknowledge is not applied
	// (revocation.Denylist.decide).
	inFeed bool
	// alone: what is decided while in no cluster voids the cursor
	// (revocation.Denylist.decide).
	alone bool
	// owes: what could not be published voids the cursor in the same commit, and none
	// is kept until it has come by (revocation.Denylist.decide,
	// cluster.receiver.Deliver).
	owes bool
	// apart: nor while what was stored before it was published is under way
	// (revocation.Denylist.receive).
	apart bool
	// remember: what has ended is known for some time yet, so that a decision which
	// it would outweigh counts more (revocation.Denylist.known).
	remember bool
}

func allRules() rules {
	return rules{
		merge: revocation.Merge, witness: true, forget: true, keepLate: true, keepAfter: true,
		repair: true, together: true, asked: true, sure: true, sending: true, order: true, ends: true,
		settles: true, doubtsAll: true, says: true, heeds: true, knows: true, whole: true, live: true,
		cameBy: true, again: true, told: true, inFeed: true, alone: true, owes: true, apart: true, remember: true,
	}
}
