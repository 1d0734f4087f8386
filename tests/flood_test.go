package tests

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Tokens that nobody has issued cost nothing that stays: neither memory nor file
// grows with them, however many clients send.
func TestForgedTokensLeaveNothing(t *testing.T) {
	t.Parallel()
	n := 100_000
	if raceFlag == "-race=true" {
		n = 5_000 // each of them takes twenty times as long
	}
	up, as, nobody := newUpstream(t), newAuthority(t), newAuthority(t)
	c := startSampled(t, judgedConfig("issuer "+as.URL), up, "100,000 requests say the same")
	c.revoke(t, as.token(nil))
	parts := strings.Split(as.token(nil), ".")
	forged := newIssuerKey(t)
	forged.KeyID = as.signs.KeyID
	signature := strings.Split(signed(t, forged, "JWT", nil), ".")[2]
	token := func(i int) string {
		of := func(header, issuer string) string {
			return compactJWT(header, fmt.Sprintf(`{"iss":%q,"sid":"%d","jti":"%d","client_id":"backend","exp":32503680000}`, issuer, i, i))
		}
		switch i % 5 {
		case 0: // a header, and so a key, of the issuer's
			whole := strings.Split(of("", as.URL), ".")
			return parts[0] + "." + whole[1] + "." + signature
		case 1:
			return of(`{"alg":"ES256"}`, as.URL)
		case 2:
			return of(`{"alg":"none"}`, as.URL)
		case 3:
			return of(`{"alg":"RS256","kid":"1","typ":"rt+jwt"}`, nobody.URL)
		default:
			return of(`{"alg":"HS256"}`, as.URL+"/")
		}
	}
	const warm = 2000
	c.flood(t, 0, warm, token)
	file, heap := c.fileSize(t), c.heap(t)
	c.flood(t, warm, n, token)
	if grown := c.fileSize(t) - file; grown > 0 {
		t.Errorf("the file has grown by %d bytes", grown)
	}
	// A hundred bytes a token would be 10 MB.
	grown := c.heap(t) - heap
	t.Logf("the heap has %d bytes, and has grown by %d", heap+grown, grown)
	if grown > 6<<20 {
		t.Error("the heap has grown")
	}
	if got := strings.Count(c.logs.String(), `"msg":"token revoked"`); got != 1 {
		t.Errorf("%d tokens were revoked, want 1", got)
	}
	for i := range 5 {
		if a := c.bearer(t, token(i)); a.status != http.StatusOK {
			t.Errorf("token %d at the gate: %d", i, a.status)
		}
	}
	if n := nobody.times("/jwks") + nobody.times("/.well-known/openid-configuration"); n != 0 {
		t.Errorf("somebody whom a token names was asked %d times", n)
	}
	c.revoke(t, as.token(nil))
}

// flood revokes tokens as fast as it can, all with success.
func (c *caddy) flood(t *testing.T, from, to int, token func(int) string) {
	t.Helper()
	const senders = 8
	crowd, wrong := newCrowd(t, c, senders), complaints{}
	var wg sync.WaitGroup
	for sender := range senders {
		wg.Go(func() {
			for i := from + sender; i < to; i += senders {
				form := url.Values{"token": {token(i)}}
				request, err := http.NewRequest(http.MethodPost, c.url+"/token/revocation", strings.NewReader(form.Encode()))
				if err != nil {
					wrong.add("%v", err)
					return
				}
				request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				request.SetBasicAuth("backend", "backend-secret")
				if status, err := crowd.send(request); err != nil || status != http.StatusOK {
					wrong.add("token %d: %d %v", i, status, err)
				}
			}
		})
	}
	wg.Wait()
	wrong.report(t)
}

// fileSize is that of the denylist's file, in bytes.
func (c *caddy) fileSize(t *testing.T) int64 {
	t.Helper()
	info, err := os.Stat(c.names.Replace("STORE"))
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

var heapLine = regexp.MustCompile(`(?m)^# HeapAlloc = (\d+)$`)

// heap is how many bytes are in use after a garbage collection: the least of a few
// looks, as something is always under way.
func (c *caddy) heap(t *testing.T) int64 {
	t.Helper()
	least := int64(1 << 62)
	for range 5 {
		response, err := http.Get("http://" + c.admin + "/debug/pprof/heap?debug=1&gc=1")
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		found := heapLine.FindSubmatch(b)
		if err != nil || found == nil {
			t.Fatalf("no heap size: %v %d", err, response.StatusCode)
		}
		size, _ := strconv.ParseInt(string(found[1]), 10, 64)
		least = min(least, size)
		<-time.After(10 * time.Millisecond)
	}
	return least
}
