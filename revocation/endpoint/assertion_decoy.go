package endpoint

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"math/big"
	"sync"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/keys"
)

// decoyKeys are keys that nobody has the other half of, one for every algorithm:
// the assertion of an unknown client is checked with them, so that the time an
// answer takes does not tell which ids exist.
var decoyKeys = sync.OnceValue(func() keys.Set {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: decoyRSA()}}}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: &must(ecdsa.GenerateKey(curve, rand.Reader)).PublicKey})
	}
	set.Keys = append(set.Keys, jose.JSONWebKey{Key: ed25519.NewKeyFromSeed(random(ed25519.SeedSize)).Public()})
	return must(keys.Parse(must(json.Marshal(set))))
})

// must is for what cannot fail.
func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("making a key: %v", err))
	}
	return v
}

// decoyRSA is made at once, as it need not be the product of two primes.
func decoyRSA() *rsa.PublicKey {
	const bits = 2048
	n := new(big.Int).SetBytes(random(bits / 8))
	n.SetBit(n, bits-1, 1).SetBit(n, 0, 1)
	return &rsa.PublicKey{N: n, E: 65537}
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
