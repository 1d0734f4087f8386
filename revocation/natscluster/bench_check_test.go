//go:build unix

package natscluster

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/gate"
)

// BenchmarkCheck is what a request with a token that is not revoked costs at the gate
// of a node with 100,000 others revoked, in no cluster and in one: with the question
// whether there was word from it. Both take turns, so that the ratio holds on a busy
// machine too.
func BenchmarkCheck(b *testing.B) {
	server := newProcesses(b, 1)[0]
	alone, joined := newList(b), levelNode(b, Config{URLs: []string{server.url()}})
	for _, list := range []*revocation.Denylist{alone, joined.list} {
		for chunk := range slices.Chunk(records(0, 100_000), 1000) {
			check(b, list.Revoke(b.Context(), chunk...))
		}
	}
	joined.isLevel()
	g, err := gate.New(nil, nil)
	check(b, err)
	const turn = 1000
	requests := make([]*http.Request, turn)
	var number uint64
	renew := func() { // as what a request carries is not known from before
		for i := range requests {
			number++
			requests[i] = withToken(number)
		}
	}
	var took [2]time.Duration
	var ratios []float64
	passes := func(d gate.Decision) {
		if d.Reason != gate.Passed {
			b.Fatal(d.Reason, d.Err)
		}
	}
	for done := 0; done < b.N; done += turn {
		var each [2]time.Duration
		renew()
		began := time.Now()
		for _, r := range requests {
			passes(g.Check(alone, nil, r))
		}
		each[0] = time.Since(began)
		renew()
		began = time.Now()
		for _, r := range requests {
			if !joined.Fresh(30 * time.Second) {
				b.Fatal("there is no word from the cluster")
			}
			passes(g.Check(joined.list, nil, r))
		}
		each[1] = time.Since(began)
		took[0], took[1] = took[0]+each[0], took[1]+each[1]
		ratios = append(ratios, float64(each[1])/float64(each[0]))
	}
	slices.Sort(ratios)
	rounds := float64(turn * len(ratios))
	b.ReportMetric(float64(took[0])/rounds, "alone-ns")
	b.ReportMetric(float64(took[1])/rounds, "joined-ns")
	b.ReportMetric(ratios[len(ratios)/2], "median-ratio")
}

// withToken is a request with a token of 800 bytes, as an RS256 one has.
func withToken(number uint64) *http.Request {
	encode := base64.RawURLEncoding.EncodeToString
	id := sha256.Sum256(binary.BigEndian.AppendUint64(nil, number))
	claims := `{"iss":"https://issuer.example","sub":"alice","jti":"` + encode(id[:]) + `","scope":"` + strings.Repeat("x", 180) + `"}`
	r := httptest.NewRequest(http.MethodGet, "/api", nil)
	r.Header.Set("Authorization", "Bearer "+encode([]byte(`{"alg":"RS256"}`))+"."+encode([]byte(claims))+"."+encode(make([]byte, 256)))
	return r
}
