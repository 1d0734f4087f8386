package revocation

import (
	"encoding/binary"
	"sync"
	"time"
)

// meterEvery is how many records of a part are loaded between two looks at the clock.
const meterEvery = 1 << 14

// meter reports the progress of a load, at most once a second.
type meter struct {
	now    func() time.Time
	report func(Progress)

	mu      sync.Mutex
	said    time.Time
	records int
	done    []float64 // by part, from 0 to 1
}

func newMeter(parts int, now func() time.Time, report func(Progress)) *meter {
	return &meter{now: now, report: report, said: now(), done: make([]float64, parts)}
}

// count says that meterEvery more records of a part are loaded, up to this key.
func (m *meter) count(part int, key *Key) {
	if m.report == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records += meterEvery
	place := float64(binary.BigEndian.Uint32(key.Digest[:])) / (1 << 32) // among all keys
	m.done[part] = min(max(place*float64(len(m.done))-float64(part), 0), 1)
	t := m.now()
	if t.Sub(m.said) < time.Second {
		return
	}
	m.said = t
	whole := 0.0
	for _, done := range m.done {
		whole += done / float64(len(m.done))
	}
	m.report(Progress{Records: m.records, Part: whole})
}
