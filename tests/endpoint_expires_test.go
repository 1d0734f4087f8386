package tests

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// revokedLine is what the log says of a revocation.
type revokedLine struct {
	Message string    `json:"msg"`
	By      string    `json:"by"`
	Digest  string    `json:"digest"`
	Expires time.Time `json:"expires"`
}

// revokedLines are those so far.
func (c *caddy) revokedLines() (list []revokedLine) {
	for line := range strings.Lines(c.logs.String()) {
		var l revokedLine
		if json.Unmarshal([]byte(line), &l) == nil && l.Message == "token revoked" {
			list = append(list, l)
		}
	}
	return list
}

// waitForRevoked waits for the n-th of them.
func (c *caddy) waitForRevoked(t *testing.T, n int) (line revokedLine) {
	t.Helper()
	eventually(t, func() error {
		list := c.revokedLines()
		if len(list) < n {
			return errors.New("no line says that the token was revoked")
		}
		line = list[n-1]
		return nil
	})
	return line
}

// A record ends no sooner than its token does, and a token whose end cannot be
// read is remembered for as long as `retain` says.
func TestEndpointRecordEnds(t *testing.T) {
	const retain = 48 * time.Hour
	up := newUpstream(t)
	c := start(t, strings.Replace(endpointSite, "store bolt STORE", "store bolt STORE\n retain 48h", 1), up)
	now := time.Now().Unix()
	retained := now + int64(retain.Seconds())
	never := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix()
	in := func(d time.Duration) int64 { return now + int64(d.Seconds()) }

	for name, r := range map[string]struct {
		token string
		want  int64
	}{
		"opaque":                   {newToken(), retained},
		"JWE":                      {jwtWithHeader(`{"alg":"dir","enc":"A128GCM"}`, ``) + ".Y2lwaGVy.dGFn", retained},
		"claims that are no JSON":  {jwt(`not JSON`), retained},
		"claims that are no claim": {jwt(`["exp",1]`), retained},
		"no exp":                   {jwt(`{"sub":"a"}`), retained},
		"exp null":                 {jwt(`{"sub":"b","exp":null}`), retained},
		"exp of words":             {jwt(`{"exp":"tomorrow"}`), retained},
		"exp within":               {jwt(fmt.Sprintf(`{"exp":%d}`, in(time.Hour))), in(time.Hour)},
		"exp beyond":               {jwt(fmt.Sprintf(`{"exp":%d}`, in(1000*time.Hour))), in(1000 * time.Hour)},
		"exp with a fraction":      {jwt(fmt.Sprintf(`{"exp":%d.25}`, in(time.Hour))), in(time.Hour) + 1},
		"exp with an exponent":     {jwt(fmt.Sprintf(`{"exp":%.9e}`, float64(in(2*time.Hour)))), in(2 * time.Hour)},
		"exp in a string, within":  {jwt(fmt.Sprintf(`{"exp":"%d"}`, in(time.Hour))), retained},
		"exp in a string, beyond":  {jwt(fmt.Sprintf(`{"exp":"%d"}`, in(1000*time.Hour))), in(1000 * time.Hour)},
		"exp twice":                {jwt(fmt.Sprintf(`{"exp":1,"exp":%d}`, in(time.Hour))), in(time.Hour)},
		"exp twice, other way":     {jwt(fmt.Sprintf(`{"exp":%d,"exp":1}`, in(3*time.Hour))), in(3 * time.Hour)},
		"exp twice, with words":    {jwt(fmt.Sprintf(`{"exp":%d,"exp":"x"}`, in(time.Hour))), retained},
		"exp in capitals":          {jwt(`{"EXP":1}`), retained},
		"exp in milliseconds":      {jwt(fmt.Sprintf(`{"exp":%d000}`, in(time.Hour))), never},
		"exp beyond all":           {jwt(`{"exp":1e300}`), never},
		"exp beyond numbers":       {jwt(`{"exp":1e3000}`), never},
		"exp just past":            {jwt(fmt.Sprintf(`{"exp":%d}`, in(-20*time.Second))), in(-20 * time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(c.revokedLines())
			c.try(t, up, revocationRequest{token: r.token, want: success})
			line := c.waitForRevoked(t, before+1)
			late := line.Expires.Unix() - r.want
			if r.want == retained { // counted from the request, up to the next second
				late = max(0, late-1-int64(time.Since(time.Unix(now, 0)).Seconds()))
			}
			if late != 0 || line.By != "backend" {
				t.Errorf("%+v, want %s", line, time.Unix(r.want, 0).UTC())
			}
		})
	}
	// What has ended stores nothing: the next line is that of a later revocation.
	before := len(c.revokedLines())
	c.try(t, up, revocationRequest{token: jwt(fmt.Sprintf(`{"exp":%d}`, in(-2*time.Minute))), want: success, lives: true})
	later := newToken()
	c.revoke(t, later)
	sum := sha256.Sum256([]byte(later))
	if line := c.waitForRevoked(t, before+1); line.Digest != hex.EncodeToString(sum[:6]) {
		t.Errorf("an expired token was stored: %+v", line)
	}
}

// Where the file is gone, nothing can be made durable: no success is said, the
// token lives, and what was revoked before stays refused.
func TestEndpointWithoutStore(t *testing.T) {
	for name, breakIt := range map[string]func(t *testing.T, path string){
		"removed": func(t *testing.T, path string) { remove(t, path) },
		"replaced": func(t *testing.T, path string) {
			remove(t, path)
			write(t, path, "another file")
		},
		"directory removed": func(t *testing.T, path string) { remove(t, strings.TrimSuffix(path, "/denylist.db")) },
	} {
		t.Run(name, func(t *testing.T) {
			up := newUpstream(t)
			c := start(t, endpointSite, up)
			before := newToken()
			c.revoke(t, before)

			breakIt(t, c.names.Replace("STORE"))
			opaque := newToken()
			c.try(t, up, revocationRequest{token: opaque, want: unavailable})
			c.try(t, up, revocationRequest{token: opaque, want: unavailable})
			c.try(t, up, revocationRequest{token: jwt(`{"sub":"nobody stores this"}`), want: unavailable})
			// A repeat cannot be promised either: after a restart it would be gone.
			c.send(t, up, revocationRequest{token: before})
			if a := c.send(t, up, revocationRequest{token: before}); a.status != http.StatusServiceUnavailable {
				t.Errorf("a repeat: %d %s", a.status, a.body)
			}
			// Nothing has to be stored of what has expired, and the rest is as always.
			c.try(t, up, revocationRequest{token: jwt(`{"exp":1}`), want: success, lives: true})
			c.try(t, up, revocationRequest{header: without("Authorization"), want: invalidClient})
			c.try(t, up, revocationRequest{body: "x=y", want: invalidRequest})
			if a := c.bearer(t, before); a.status != http.StatusUnauthorized {
				t.Errorf("revoked before: %d", a.status)
			}
			if strings.Contains(c.logs.String(), opaque) {
				t.Error("the token stands in the log")
			}
		})
	}
}
