package gate

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/boltstore"
)

// stored is a denylist of n records in a file.
func stored(tb testing.TB, n int) *revocation.Denylist {
	tb.Helper()
	store, err := boltstore.Open(tb.Context(), filepath.Join(tb.TempDir(), "denylist.db"), 0)
	if err != nil {
		tb.Fatal(err)
	}
	list, err := revocation.Open(tb.Context(), store, revocation.Options{CacheBytes: 32 << 20})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = list.Close() })
	expires := time.Now().Add(24 * time.Hour)
	for n > 0 {
		records := make([]revocation.Record, min(n, 100_000))
		for i := range records {
			records[i] = revocation.Record{Key: revocation.Key{Kind: revocation.KindToken}, Revoked: time.Now(), Expires: expires, By: "client"}
			_, _ = rand.Read(records[i].Key.Digest[:])
		}
		if err := list.Revoke(context.Background(), records...); err != nil {
			tb.Fatal(err)
		}
		n -= len(records)
	}
	return list
}

// ofSize is a token of 800 bytes as the algorithm would make it: RS256 has a
// signature of 256 bytes, ES256 one of 64.
func ofSize(alg string, signature int) string {
	encode := base64.RawURLEncoding.EncodeToString
	header := encode([]byte(`{"alg":"` + alg + `","kid":"2024-06-01-signing","typ":"JWT"}`))
	tail := make([]byte, signature)
	_, _ = rand.Read(tail)
	claims := `{"jti":"x` + rand.Text() + `","iss":"https://issuer.example","iat":1718000000,"exp":1718003600,"sub":"alice",` +
		`"client_id":"frontend","sid":"` + rand.Text() + `","scope":"`
	for size := 3 * (800 - len(header) - 2 - base64.RawURLEncoding.EncodedLen(signature)) / 4; len(claims) < size; {
		claims = (claims + rand.Text() + " ")[:min(size, len(claims)+27)]
	}
	return header + "." + encode([]byte(claims[:len(claims)-2]+`"}`)) + "." + encode(tail)
}

func browsing(token string) *http.Request {
	r := request(http.Header{
		"Authorization":   {"Bearer " + token},
		"Accept":          {"application/json"},
		"Accept-Encoding": {"gzip"},
		"User-Agent":      {strings.Repeat("x", 100)},
	})
	r.URL.RawQuery = "page=2&sort=name"
	return r
}

var kinds = []struct {
	alg       string
	signature int
}{{"RS256", 256}, {"ES256", 64}}

// sender makes requests of which no two have the same token. As in a server, the
// token is at hand, and what is remembered of it is not.
type sender struct {
	request *http.Request
	number  []byte // a part of the token's jti, in base64
	sent    uint64
}

func newSender(alg string, signature int) *sender {
	buffer := []byte("Bearer " + ofSize(alg, signature))
	r := browsing("")
	r.Header["Authorization"][0] = unsafe.String(&buffer[0], len(buffer))
	payload := bytes.IndexByte(buffer, '.') + 1
	return &sender{request: r, number: buffer[payload+base64.RawURLEncoding.EncodedLen(len(`{"jti":"x`)):][:12]}
}

func (s *sender) next() *http.Request {
	var digits [9]byte
	for i, n := 0, s.sent; i < len(digits); i, n = i+1, n/10 {
		digits[i] = '0' + byte(n%10)
	}
	base64.RawURLEncoding.Encode(s.number, digits[:])
	s.sent++
	return s.request
}

func benchmark(b *testing.B, list *revocation.Denylist) {
	g := gate(b)
	for _, kind := range kinds {
		b.Run(kind.alg, func(b *testing.B) {
			from := newSender(kind.alg, kind.signature)
			b.ReportAllocs()
			for b.Loop() {
				if d := g.Check(list, nil, from.next()); d.Reason != Passed {
					b.Fatal(d.Reason, d.Err)
				}
			}
		})
	}
}

// BenchmarkCheck is what a request with a token that is not revoked costs, with
// a million others revoked: without rules, with rules of every kind that are
// about other tokens, and with rules about this one that it was issued too late
// for, of every kind where that matters.
func BenchmarkCheck(b *testing.B) {
	list := stored(b, 1_000_000)
	b.Run("no rules", func(b *testing.B) { benchmark(b, list) })
	rule(b, list, othersRules()...)
	b.Run("rules", func(b *testing.B) { benchmark(b, list) })
	rule(b, list, passedRules()...)
	b.Run("rules that match", func(b *testing.B) { benchmark(b, list) })
}

const benchIssuer = "https://issuer.example"

// othersRules are rules of every kind that are about other tokens than those of
// the benchmark.
func othersRules() (rules []revocation.Record) {
	for i := range 100 {
		for kind := revocation.KindSession; kind < revocation.KindIssuer; kind++ {
			rules = append(rules, ruleOf(kind, benchIssuer, fmt.Sprint("another ", i), time.Now()))
		}
		rules = append(rules, ruleOf(revocation.KindIssuer, fmt.Sprint(benchIssuer, i), "", time.Now()))
	}
	return rules
}

// passedRules are rules about the tokens of the benchmark, which were issued later.
func passedRules() []revocation.Record {
	early := time.Unix(1718000000-1, 0)
	return []revocation.Record{
		ruleOf(revocation.KindSubject, benchIssuer, "alice", early), ruleOf(revocation.KindClient, benchIssuer, "frontend", early),
		ruleOf(revocation.KindKey, benchIssuer, "2024-06-01-signing", early), ruleOf(revocation.KindIssuer, benchIssuer, "", early),
	}
}

func TestCheckDoesNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("with the race detector, a pool forgets on purpose")
	}
	list := stored(t, 10_000)
	places := gate(t, Place{In: Header, Name: "X-Token"}, Place{In: Cookie, Name: "sid"}, Place{In: Form, Name: "access_token"})
	for _, rules := range [][]revocation.Record{nil, othersRules(), passedRules()} {
		rule(t, list, rules...)
		for _, kind := range kinds {
			r := browsing(ofSize(kind.alg, kind.signature))
			for _, g := range []*Gate{gate(t), places} {
				if n := testing.AllocsPerRun(1000, func() { g.Check(list, nil, r) }); n != 0 {
					t.Errorf("%s, with %d rules: %v allocations", kind.alg, len(rules), n)
				}
			}
		}
	}
}
