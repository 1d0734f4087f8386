package model

import (
	"testing"
	"time"
)

var scenarios = map[string]scenario{
	"faults":    {nodes: 2, keys: 2, log: 4, decisions: 2, faults: 1, expiries: []uint8{9}},
	"twofaults": {nodes: 2, keys: 1, log: 4, decisions: 2, faults: 2, expiries: []uint8{9}, spare: true},
	"reverse":   {nodes: 2, keys: 1, log: 4, decisions: 3, expiries: []uint8{9}, restore: true},
	"expiry":    {nodes: 2, keys: 1, log: 4, decisions: 3, expiries: []uint8{1, 2}, time: 2, restore: true, grace: 1},
	"leave":     {nodes: 2, keys: 1, log: 4, decisions: 2, faults: 0, expiries: []uint8{9}, leave: true},
	"late":      {nodes: 2, keys: 1, log: 4, decisions: 2, faults: 0, expiries: []uint8{9}, late: true, restore: true},
	"three":     {nodes: 3, keys: 1, log: 3, decisions: 2, faults: 1, expiries: []uint8{9}},
}

func TestDraft(t *testing.T) {
	for name, scenario := range scenarios {
		t.Run(name, func(t *testing.T) {
			r := allRules()
			m := &model{scenario: scenario, rules: r, table: newTable(r.merge)}
			began := time.Now()
			t.Log(m.search(1_500_000), time.Since(began))
		})
	}
}
