package gate

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
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
	claims := `{"iss":"https://issuer.example","iat":1718000000,"sub":"` + rand.Text() + `","scope":"`
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

// BenchmarkCheck is what a request with a token that is not revoked costs, with
// a million others revoked. As in a server, the token is at hand, and the place
// of the index that it leads to is not: no two requests have the same token.
func BenchmarkCheck(b *testing.B) {
	list := stored(b, 1_000_000)
	g := gate(b)
	for _, kind := range kinds {
		b.Run(kind.alg, func(b *testing.B) {
			buffer := []byte("Bearer " + ofSize(kind.alg, kind.signature))
			r := browsing("")
			r.Header["Authorization"][0] = unsafe.String(&buffer[0], len(buffer))
			number := buffer[bytes.IndexByte(buffer, '.')+1:][:8]
			b.ReportAllocs()
			i := uint64(0)
			for b.Loop() {
				for j := range number {
					number[j] = 'A' + byte(i>>(4*j)&15)
				}
				i++
				if d := g.Check(list, nil, r); d.Reason != Passed {
					b.Fatal(d.Reason)
				}
			}
		})
	}
}

func TestCheckDoesNotAllocate(t *testing.T) {
	list := stored(t, 10_000)
	places := gate(t, Place{In: Header, Name: "X-Token"}, Place{In: Cookie, Name: "sid"}, Place{In: Form, Name: "access_token"})
	for _, kind := range kinds {
		r := browsing(ofSize(kind.alg, kind.signature))
		for _, g := range []*Gate{gate(t), places} {
			if n := testing.AllocsPerRun(1000, func() { g.Check(list, nil, r) }); n != 0 {
				t.Errorf("%s: %v allocations", kind.alg, n)
			}
		}
	}
}
