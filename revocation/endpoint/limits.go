package endpoint

import (
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// RateLimit is how many revocations are possible in an interval, and at once.
type RateLimit struct {
	Revocations int
	Interval    time.Duration
}

// Limit is a bound that a request was turned away for.
type Limit string

// The limits.
const (
	LimitFailures Limit = "failures" // too many failed authentications from the address
	LimitRate     Limit = "rate"     // too many revocations of the client
	LimitRecords  Limit = "records"  // as many live records as the client may have
)

// DefaultRateLimit is that of every client for which no other is set.
var DefaultRateLimit = RateLimit{Revocations: 100, Interval: time.Second}

func (l RateLimit) validate() error {
	if l.Revocations <= 0 || l.Interval <= 0 {
		return fmt.Errorf("a rate limit of %d in %s is not possible", l.Revocations, l.Interval)
	}
	return nil
}

// Failed authentications of one address: so many at once, one more each second,
// and no longer than maxDebt until the first that follows. What one address gets
// is so little that guessing is hopeless, and what a misconfigured client needs
// is so much that people have the time to see what its errors say.
const (
	failureBurst = 20
	failureRate  = rate.Limit(1) // a second
	maxDebt      = 300           // failures
)

// maxAddresses and maxClients bound how much is remembered, in each of the
// tables below: some 20 MB.
//
// What is full forgets the address that asked the longest ago. That is worth
// nothing to who has many addresses: to have one forgotten takes a failure of
// each of maxAddresses others, and as each of those gets one a second anyway,
// taking turns gives as many. More than that many failures a second are bounded
// only by how many secrets can be compared, and hashed, at once.
const (
	maxAddresses = 1 << 16
	maxClients   = 1 << 16
)

// Limits is what is remembered of those who asked, in bounded memory. It is safe
// for concurrent use, and serves any number of endpoints, one after the other or
// beside each other, which then count together.
type Limits struct {
	clients   *lru.Cache[clientKey, *rate.Limiter] // those who proved who they are
	strangers *lru.Cache[clientKey, *rate.Limiter] // those who only said so
	failures  *lru.Cache[netip.Prefix, *rate.Limiter]
}

// clientKey is who is limited, and how: so a reload with another limit begins anew.
type clientKey struct {
	id      string
	address netip.Prefix // only of strangers
	limit   RateLimit
}

// NewLimits remembers nothing yet.
func NewLimits() *Limits {
	return &Limits{
		clients:   table[clientKey, *rate.Limiter](maxClients),
		strangers: table[clientKey, *rate.Limiter](maxAddresses),
		failures:  table[netip.Prefix, *rate.Limiter](maxAddresses),
	}
}

// table forgets what was not asked for the longest when it is full.
func table[K comparable, V any](size int) *lru.Cache[K, V] {
	t, err := lru.New[K, V](size)
	if err != nil { // of a size that is not positive: cannot be
		panic(err)
	}
	return t
}

// limiter returns that of a key; all who ask get the same one.
func limiter[K comparable](t *lru.Cache[K, *rate.Limiter], key K, limit rate.Limit, burst int) *rate.Limiter {
	if l, ok := t.Get(key); ok {
		return l
	}
	l := rate.NewLimiter(limit, burst)
	if other, ok, _ := t.PeekOrAdd(key, l); ok {
		return other
	}
	return l
}

// admit counts a revocation. If it is one too many, it returns how long until
// there is one more, and counts nothing.
//
// Who has proved to be a client has the client's limit. A public client proves
// nothing, so that it has its limit at each address: a stranger cannot use it up
// for the others. And who is left to the authorization server to judge has one
// limit for all clients at the address, as such a stranger can take any name.
func (l *Limits) admit(client *Client, limit RateLimit, address netip.Addr, now time.Time) (wait time.Duration) {
	t, key := l.clients, clientKey{id: client.ID, limit: limit}
	if client.stranger || client.public() {
		t, key.address = l.strangers, network(address)
	}
	if client.stranger {
		key.id = ""
	}
	bucket := limiter(t, key, rate.Limit(float64(limit.Revocations)/limit.Interval.Seconds()), limit.Revocations)
	if bucket.AllowN(now, 1) {
		return 0
	}
	return untilOne(bucket, now)
}

// slowed returns how long an address has to wait until it may try to
// authenticate, because it has failed too often.
func (l *Limits) slowed(address netip.Addr, now time.Time) time.Duration {
	if bucket, ok := l.failures.Get(network(address)); ok {
		return untilOne(bucket, now)
	}
	return 0
}

// failed counts a failed authentication. Those that were made side by side, all
// before the first was known to fail, are paid for afterwards.
func (l *Limits) failed(address netip.Addr, now time.Time) {
	bucket := limiter(l.failures, network(address), failureRate, failureBurst)
	if bucket.TokensAt(now) > -maxDebt {
		bucket.ReserveN(now, 1)
	}
}

// untilOne is how long it takes until a bucket has something for one more.
func untilOne(bucket *rate.Limiter, now time.Time) time.Duration {
	missing := 1 - bucket.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return time.Duration(math.Ceil(missing / float64(bucket.Limit()) * float64(time.Second)))
}

// network is what one customer of a provider has: an IPv4 address, or 64 bits of
// an IPv6 one, of which the rest can be any. All addresses that are not known
// are one.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// remoteAddr is the address of who holds the connection.
func remoteAddr(r *http.Request) netip.Addr {
	if a, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return a.Addr()
	}
	a, _ := netip.ParseAddr(r.RemoteAddr) // not known if it is neither
	return a
}
