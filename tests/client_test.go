package tests

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// site is the Caddyfile that most tests use: two clients, one confidential and
// one public, and a site that proxies to the upstream. EXTRA stands for further
// lines of the directive. What limits a client has tests of its own, so that here
// it is out of the way.
const site = `
{
	admin ADMIN
	auto_https off
	token_revocation {
		store bolt STORE
		client backend {
			secret backend-secret
		}
		client webapp {
			auth none
			origin https://app.example.com
		}
	}
}
http://localhost:PORT {
	token_revocation {
		rate_limit 1000000 1s
		EXTRA
	}
	reverse_proxy UPSTREAM
}
`

// siteWith is the site with further lines of the directive.
func siteWith(lines ...string) string {
	return strings.ReplaceAll(site, "EXTRA", strings.Join(lines, "\n\t\t"))
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request.
func do(t *testing.T, request *http.Request) answer {
	t.Helper()
	return doWith(t, http.DefaultClient, request)
}

// stranger is a client at an address of its own, as one that failed to
// authenticate too often is turned away.
func stranger(t *testing.T) *http.Client {
	transport := &http.Transport{DialContext: dialAsStranger}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

var addresses atomic.Uint32

func dialAsStranger(ctx context.Context, network, address string) (net.Conn, error) {
	n := addresses.Add(1)
	from := &net.TCPAddr{IP: net.IPv4(127, 1+byte(n>>16), byte(n>>8), byte(n))}
	return (&net.Dialer{LocalAddr: from}).DialContext(ctx, network, address)
}

func doWith(t *testing.T, client *http.Client, request *http.Request) answer {
	t.Helper()
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return answerOf(t, response)
}

func answerOf(t *testing.T, response *http.Response) answer {
	t.Helper()
	a, err := readAll(response)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func readAll(response *http.Response) (answer, error) {
	if response.Request != nil {
		confidential.request(response.Request)
		overhear(response)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(body)}, err
}

// named is the token of that name.
func named(name string) string { return confidential.add(name + "-" + runName) }

var runName = rand.Text()

// bearer sends a GET request with a token.
func (c *caddy) bearer(t *testing.T, token string) answer {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, c.url+"/api", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	return do(t, request)
}

// revoke revokes a token as the confidential client, and fails the test where
// that does not succeed.
func (c *caddy) revoke(t *testing.T, token string) {
	t.Helper()
	if a := c.post(t, url.Values{"token": {token}}, "backend", "backend-secret"); a.status != http.StatusOK || a.body != "{}" {
		t.Fatalf("revoking: %d %s", a.status, a.body)
	}
}

// post sends a form to the revocation endpoint, with Basic credentials unless
// id is empty.
func (c *caddy) post(t *testing.T, form url.Values, id, secret string) answer {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, c.url+"/token/revocation", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if id != "" {
		request.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	}
	return do(t, request)
}
