package endpoint

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// clock stands still until it is moved.
type clock struct{ elapsed atomic.Int64 }

func (c *clock) now() time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(c.elapsed.Load()))
}
func (c *clock) move(d time.Duration) { c.elapsed.Add(int64(d)) }

// limited is an endpoint that allows three revocations in ten seconds, beside a
// denylist that is away: an answer 503 is one to a request that was let through.
type limited struct {
	*Endpoint
	clock
	t *testing.T
}

func newLimited(t *testing.T, change ...func(*Config)) *limited {
	t.Helper()
	l := &limited{t: t}
	c := Config{
		Clients: clients(t, Client{ID: "id", Secret: plain(t, "secret")}, Client{ID: "other", Secret: plain(t, "secret")}, Client{ID: "public"}),
		Retain:  time.Hour, RateLimit: RateLimit{3, 10 * time.Second}, Now: l.clock.now,
	}
	for _, change := range change {
		change(&c)
	}
	var err error
	if l.Endpoint, err = New(c); err != nil {
		t.Fatal(err)
	}
	return l
}

func plain(t *testing.T, secret string) *Secret {
	t.Helper()
	s, err := PlainSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask asks as a client from an address, which stands in for its port too.
func (l *limited) ask(id, secret, address string) *httptest.ResponseRecorder {
	l.t.Helper()
	r := request("token=t")
	if secret == "" {
		r = request("token=t&client_id=" + id)
		r.Header.Del("Authorization")
	} else {
		r.SetBasicAuth(id, secret)
	}
	r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(address), 1).String()
	w := httptest.NewRecorder()
	done := l.Serve(away, w, r)
	if done.Status != w.Code {
		l.t.Errorf("the outcome is %+v, the answer %d", done, w.Code)
	}
	return w
}

// wants asks, and checks the status and, where there is one, Retry-After.
func (l *limited) wants(status int, retryAfter int, id, secret, address string) {
	l.t.Helper()
	w := l.ask(id, secret, address)
	got, _ := strconv.Atoi(w.Header().Get("Retry-After"))
	if w.Code != status || status == http.StatusTooManyRequests && got != retryAfter {
		l.t.Fatalf("%s from %s: %d, Retry-After %d; want %d, %d", id, address, w.Code, got, status, retryAfter)
	}
}

const (
	passed  = http.StatusServiceUnavailable // to where the denylist would be
	failed  = http.StatusUnauthorized
	tooSoon = http.StatusTooManyRequests
)

func TestRateOfAClient(t *testing.T) {
	l := newLimited(t)
	for i := range 3 {
		l.wants(passed, 0, "id", "secret", fmt.Sprintf("192.0.2.%d", i))
	}
	l.wants(tooSoon, 4, "id", "secret", "192.0.2.1") // ten seconds by three
	l.wants(tooSoon, 4, "id", "secret", "203.0.113.1")
	l.wants(passed, 0, "other", "secret", "192.0.2.1")
	l.clock.move(3 * time.Second)
	l.wants(tooSoon, 1, "id", "secret", "192.0.2.1")
	l.clock.move(time.Second) // Retry-After is kept to
	l.wants(passed, 0, "id", "secret", "192.0.2.1")
	l.wants(tooSoon, 3, "id", "secret", "192.0.2.1")
	l.clock.move(time.Minute)
	for range 3 {
		l.wants(passed, 0, "id", "secret", "192.0.2.1")
	}
	l.wants(tooSoon, 4, "id", "secret", "192.0.2.1")
}

// A wrong secret uses up nothing of a client's rate.
func TestRateIsOfWhoProvesIt(t *testing.T) {
	l := newLimited(t)
	for range 10 {
		l.wants(failed, 0, "id", "wrong", "192.0.2.1")
	}
	for range 3 {
		l.wants(passed, 0, "id", "secret", "192.0.2.1")
	}
}

// Whoever says to be a public client uses up its rate at one address only.
func TestRateOfAPublicClient(t *testing.T) {
	l := newLimited(t)
	for range 3 {
		l.wants(passed, 0, "public", "", "2001:db8::1")
	}
	l.wants(tooSoon, 4, "public", "", "2001:db8::1")
	l.wants(tooSoon, 4, "public", "", "2001:db8::ffff:1") // the same /64
	l.wants(passed, 0, "public", "", "2001:db8:0:1::1")
	l.wants(passed, 0, "public", "", "192.0.2.1")
	l.wants(passed, 0, "id", "secret", "2001:db8::1")
}

func TestFailuresOfAnAddress(t *testing.T) {
	l := newLimited(t)
	for i := range failureBurst {
		l.wants(failed, 0, "id", strconv.Itoa(i), "192.0.2.1")
	}
	// Right or wrong, nobody is told.
	l.wants(tooSoon, 1, "id", "wrong", "192.0.2.1")
	l.wants(tooSoon, 1, "id", "secret", "192.0.2.1")
	l.wants(tooSoon, 1, "nobody", "", "::ffff:192.0.2.1")
	l.wants(passed, 0, "id", "secret", "192.0.2.2")
	l.clock.move(time.Second)
	l.wants(passed, 0, "id", "secret", "192.0.2.1") // and costs nothing
	l.wants(failed, 0, "nobody", "", "192.0.2.1")
	l.wants(tooSoon, 1, "id", "secret", "192.0.2.1")
	l.clock.move(time.Hour)
	for i := range failureBurst {
		l.wants(failed, 0, "id", strconv.Itoa(i), "192.0.2.1")
	}
	l.wants(tooSoon, 1, "id", "secret", "192.0.2.1")
}

// An address is one also where it has many, or is not known.
func TestFailuresOfANetwork(t *testing.T) {
	l := newLimited(t)
	for i := range failureBurst {
		l.wants(failed, 0, "id", "wrong", fmt.Sprintf("2001:db8::%x", i+1))
	}
	l.wants(tooSoon, 1, "id", "secret", "2001:db8::abcd")
	l.wants(passed, 0, "id", "secret", "2001:db8:0:1::1")

	unknown := newLimited(t, func(c *Config) { c.RemoteAddr = func(*http.Request) netip.Addr { return netip.Addr{} } })
	for range failureBurst {
		unknown.wants(failed, 0, "id", "wrong", "192.0.2.1")
	}
	unknown.wants(tooSoon, 1, "id", "secret", "192.0.2.2")
}

// Over the limit no secret is hashed.
func TestFailuresAreNotHashed(t *testing.T) {
	secret := plain(t, "secret")
	hashed := 0
	secret.slow = func(string) bool {
		hashed++
		return false
	}
	l := newLimited(t, func(c *Config) { c.Clients = clients(t, Client{ID: "id", Secret: secret}) })
	for i := range failureBurst {
		l.wants(failed, 0, "id", strconv.Itoa(i), "192.0.2.1")
	}
	before := hashed
	l.wants(tooSoon, 1, "id", "x", "192.0.2.1")
	if hashed != before || before < failureBurst {
		t.Errorf("%d and %d secrets were hashed", before, hashed)
	}
}

// What was tried side by side, before the first of it was known to fail, is
// paid for afterwards; but no longer than the largest debt takes.
func TestFailuresSideBySide(t *testing.T) {
	l, now := NewLimits(), time.Unix(0, 0)
	address := netip.MustParseAddr("192.0.2.1")
	for range failureBurst + 40 {
		l.failed(address, now)
	}
	if wait := l.slowed(address, now); wait != 41*time.Second {
		t.Error(wait)
	}
	if wait := l.slowed(address, now.Add(40*time.Second)); wait != time.Second {
		t.Error(wait)
	}
	if wait := l.slowed(address, now.Add(41*time.Second)); wait != 0 {
		t.Error(wait)
	}
	for range 10_000 {
		l.failed(address, now)
	}
	if wait := l.slowed(address, now); wait != (maxDebt+1)*time.Second {
		t.Error(wait)
	}
}

// However many ask, memory is bounded; and who has failed is not forgotten
// before more addresses have failed since than are remembered.
func TestLimitsAreBounded(t *testing.T) {
	l, now := NewLimits(), time.Unix(0, 0)
	first := netip.MustParseAddr("192.0.2.1")
	for range failureBurst {
		l.failed(first, now)
	}
	address := netip.MustParseAddr("10.0.0.0")
	public := &Client{ID: "public", Methods: []Method{None}}
	for range maxAddresses - 1 {
		address = address.Next()
		l.failed(address, now)
		l.admit(public, DefaultRateLimit, address, now)
	}
	if l.slowed(first, now) == 0 {
		t.Error("the first address is forgotten too early")
	}
	for range maxAddresses {
		address = address.Next()
		l.failed(address, now)
		l.admit(public, DefaultRateLimit, address, now)
	}
	if n := l.failures.Len() + l.strangers.Len() + l.clients.Len(); n != 2*maxAddresses {
		t.Errorf("%d are remembered", n)
	}
}

// A reload forgives nobody, but a new limit counts from then on.
func TestLimitsOutliveAnEndpoint(t *testing.T) {
	shared := NewLimits()
	share := func(c *Config) { c.Limits = shared }
	before, after := newLimited(t, share), newLimited(t, share)
	for range 3 {
		before.wants(passed, 0, "id", "secret", "192.0.2.1")
	}
	for range failureBurst {
		before.wants(failed, 0, "id", "wrong", "192.0.2.2")
	}
	after.wants(tooSoon, 4, "id", "secret", "192.0.2.1")
	after.wants(tooSoon, 1, "id", "secret", "192.0.2.2")
	more := newLimited(t, share, func(c *Config) { c.RateLimit.Revocations = 4 })
	more.wants(passed, 0, "id", "secret", "192.0.2.1")
}

func TestRateLimitMistakes(t *testing.T) {
	for _, limit := range []RateLimit{{1, 0}, {0, 1}, {-1, time.Second}, {1, -time.Second}} {
		if _, err := New(Config{Clients: clients(t), Retain: 1, RateLimit: limit}); err == nil {
			t.Errorf("%+v is accepted", limit)
		}
	}
}
