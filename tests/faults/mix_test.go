package faults

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// chance decides the same again with the same seed.
func (s *system) chance(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(*seed, stream)) }

func (s *system) any(chance *rand.Rand) *gateway { return s.gateways[chance.IntN(len(s.gateways))] }

// Faults of the engine and of gateways happen at the same time, and for as long as
// it pleases them. The same seed does the same to the same, though never in the
// same moment.
func TestMix(t *testing.T) {
	t.Parallel()
	t.Logf("-faults.seed %d", *seed)
	s := newSystem(t, false)
	s.during("a mixture", func() {
		end := time.Now().Add(*mix)
		var lanes sync.WaitGroup
		for i, list := range [][]fault{append(engineFaults(), losses()...), gatewayFaults()} {
			lanes.Go(func() { s.mix(list, s.chance(uint64(i)), end) })
		}
		lanes.Wait()
	})
}

func (s *system) mix(list []fault, chance *rand.Rand, end time.Time) {
	for time.Now().Before(end) {
		f, d := list[chance.IntN(len(list))], time.Duration(chance.Int64N(int64(2*hold)))
		began := time.Now()
		f.do(s, chance, d)
		s.t.Logf("%s, for %.1fs of %.1fs", f.what, d.Seconds(), time.Since(began).Seconds())
		time.Sleep(time.Duration(chance.Int64N(int64(2 * time.Second))))
	}
}
