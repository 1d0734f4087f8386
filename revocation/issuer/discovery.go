package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/keys"
)

const (
	discoveryTimeout = 5 * time.Second // of one attempt
	discoveryPause   = 5 * time.Second // after one that failed
	discoveryStale   = time.Minute     // after one that failed, with older metadata at hand
	discoveryAge     = 24 * time.Hour  // after which metadata is fetched again
	maxMetadata      = 256 << 10       // bytes
)

// Discovery is the set of keys to which an issuer's metadata leads. The metadata
// is fetched when a key is first asked for, and again when it is a day old; if
// that fails, what it led to before stays in use.
type Discovery struct {
	issuer string
	places []string // where the metadata may be
	client *http.Client
	now    func() time.Time

	turn chan struct{} // held while fetching

	mu   sync.Mutex
	keys *keys.Remote // nil until found
	url  string       // of keys
	next time.Time    // no fetch before
	err  error        // of the last fetch
}

// Discover prepares the discovery of an issuer's keys. It fetches nothing yet.
// The client and the clock are as in [Config].
func Discover(issuer string, client *http.Client, now func() time.Time) (*Discovery, error) {
	u, err := url.Parse(issuer)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("an issuer without jwks needs an http or https URL without query and fragment")
	}
	if now == nil {
		now = time.Now
	}
	d := &Discovery{issuer: issuer, places: metadataURLs(u), client: &http.Client{}, now: now, turn: make(chan struct{}, 1)}
	if client != nil {
		*d.client = *client
	}
	d.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return d, nil
}

// metadataURLs are where an issuer's metadata may be: behind its URL (OpenID
// Connect Discovery §4), or between its host and its path (RFC 8414 §3.1).
func metadataURLs(issuer *url.URL) []string {
	path := strings.TrimSuffix(issuer.EscapedPath(), "/")
	host := issuer.Scheme + "://" + issuer.Host
	return []string{
		host + path + "/.well-known/openid-configuration",
		host + "/.well-known/oauth-authorization-server" + path,
	}
}

// Find implements [keys.Set].
func (d *Discovery) Find(ctx context.Context, kid, alg string) ([]jose.JSONWebKey, error) {
	set, err := d.set(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", keys.ErrUnavailable, err)
	}
	return published{Set: set, fetched: set.Fetched, now: d.now}.Find(ctx, kid, alg)
}

// set is where the keys are. One caller fetches; the others go on with what was
// there before, or wait if that is nothing.
func (d *Discovery) set(ctx context.Context) (*keys.Remote, error) {
	set, due, err := d.look()
	if !due {
		return set, err
	}
	select {
	case d.turn <- struct{}{}:
	default:
		if set != nil {
			return set, nil
		}
		select {
		case d.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer func() { <-d.turn }()
	// Unless another has fetched in the meantime.
	if set, due, err = d.look(); due {
		d.keep(d.fetch(ctx))
		set, _, err = d.look()
	}
	return set, err
}

// look returns what there is, if only an error, and whether it is time to fetch.
func (d *Discovery) look() (set *keys.Remote, due bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.keys == nil {
		err = d.err
	}
	return d.keys, !d.now().Before(d.next), err
}

// keep keeps what was fetched. Keys in the same place as before stay the same,
// with what is known of them.
func (d *Discovery) keep(found *keys.Remote, url string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err, d.next = err, d.now().Add(discoveryAge)
	switch {
	case err != nil && d.keys == nil:
		d.next = d.now().Add(discoveryPause)
	case err != nil:
		d.next = d.now().Add(discoveryStale)
	case d.url != url:
		d.keys, d.url = found, url
	}
}

// fetch looks in each place, and takes the first metadata that is the issuer's.
func (d *Discovery) fetch(ctx context.Context) (found *keys.Remote, url string, err error) {
	// Others go by the outcome, too, whose time is not over.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discoveryTimeout)
	defer cancel()
	var errs []error
	for _, place := range d.places {
		url, err := d.metadata(ctx, place)
		if err == nil {
			if found, err = d.remote(url); err == nil {
				return found, url, nil
			}
		}
		errs = append(errs, fmt.Errorf("%s: %w", place, err))
	}
	return nil, "", errors.Join(errs...)
}

// remote is the set of keys at a URL, which must not give up TLS.
func (d *Discovery) remote(jwks string) (*keys.Remote, error) {
	if strings.HasPrefix(d.issuer, "https:") && !strings.HasPrefix(jwks, "https:") {
		return nil, errors.New("jwks_uri is not https")
	}
	found, err := keys.NewRemote(keys.RemoteConfig{URL: jwks, Client: d.client, Now: d.now})
	if err != nil {
		return nil, fmt.Errorf("jwks_uri: %w", err)
	}
	return found, nil
}

// metadata fetches metadata and returns its jwks_uri. It must say that it is the
// issuer's (RFC 8414 §3.3).
func (d *Discovery) metadata(ctx context.Context, place string) (jwks string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, place, nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Accept", "application/json")
	response, err := d.client.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d", response.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(response.Body, maxMetadata+1))
	if err != nil {
		return "", err
	}
	var document struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	switch {
	case len(b) > maxMetadata:
		return "", fmt.Errorf("metadata of more than %d bytes", maxMetadata)
	case json.Unmarshal(b, &document) != nil:
		return "", errors.New("not metadata in JSON")
	case document.Issuer != d.issuer:
		return "", fmt.Errorf("it is the metadata of the issuer %.200q", document.Issuer)
	}
	return document.JWKS, nil
}
