package operator

// Cluster is how a node stands to its cluster.
type Cluster struct {
	// Level is whether all that the cluster knows comes in right now.
	Level bool `json:"level"`
	// Stale is whether there was no word yet, or none within MaxStalenessSeconds.
	Stale bool `json:"stale"`
	// StalenessSeconds is how old what the node knows of the cluster may be: all
	// that was known there so long ago, it knows. Absent until there was word.
	StalenessSeconds    *float64 `json:"staleness_seconds,omitempty"`
	MaxStalenessSeconds float64  `json:"max_staleness_seconds"`
	// LagSeconds is how long the last word was under way.
	LagSeconds float64 `json:"lag_seconds"`
	// Syncs is how often the node has begun to listen, and Snapshots how often, by
	// reason, it had to be told everything.
	Syncs     int            `json:"syncs"`
	Snapshots map[string]int `json:"snapshots"`
	// Received is how many records came in, this node's own included.
	Received int `json:"received"`
	// Repaired is how many records the cluster lacked and was sent by this node.
	Repaired int `json:"repaired"`
	// Owed is how many records did not reach the cluster, and will be sent again.
	Owed int `json:"owed"`
	// Lost is why the node is not level.
	Lost string `json:"lost,omitempty"`
	// Warnings are settings of the engine with which it cannot keep its promises.
	Warnings []string `json:"warnings"`
}
