package keys

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	fetchTimeout = 10 * time.Second // of one fetch, and of waiting for another's
	maxRedirects = 3
	maxAge       = time.Hour       // of a document, unless its Cache-Control says less
	minAge       = time.Minute     // also if it says less than that
	unknownPause = time.Minute     // between fetches for keys that the document lacks
	stalePause   = time.Minute     // after a failure, with an old document at hand
	emptyPause   = 5 * time.Second // after a failure, without one
)

// RemoteConfig says where keys are published.
type RemoteConfig struct {
	// URL of a JWK Set, http or https.
	URL string
	// Client does the fetching; nil is http.DefaultClient. How many redirects it
	// follows is decided here.
	Client *http.Client
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Remote is the set of keys that is published under a URL. It is fetched when a
// key is first asked for; again when it is an hour old, or what Cache-Control
// says if that is less; and, at most once a minute, when a key is asked for that
// it lacks. If a fetch fails, the old document stays in use, however old.
//
// Whoever asks does the fetching, one at a time. The others go on with an old
// document, or wait for the new one if the old is of no help.
type Remote struct {
	url    string
	client *http.Client
	now    func() time.Time
	turn   chan struct{} // held while fetching

	mu       sync.Mutex
	document *Static   // nil until there is one
	since    time.Time // when it was fetched
	fresh    time.Time // until when it is
	again    time.Time // no fetch before, after a failure
	unknown  time.Time // no fetch before for a key that it lacks
	err      error     // of the last fetch
}

// NewRemote makes the set of a URL without fetching it.
func NewRemote(c RemoteConfig) (*Remote, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("a JWK Set needs an http or https URL")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	client := http.Client{}
	if c.Client != nil {
		client = *c.Client
	}
	client.CheckRedirect = checkRedirect
	return &Remote{url: c.URL, client: &client, now: c.Now, turn: make(chan struct{}, 1)}, nil
}

// checkRedirect follows a few redirects, but none that gives up TLS.
func checkRedirect(r *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return errors.New("too many redirects")
	case r.URL.Scheme != "https" && (r.URL.Scheme != "http" || via[0].URL.Scheme == "https"):
		return errors.New("a redirect away from TLS")
	}
	return nil
}

// Find implements [Set].
func (r *Remote) Find(ctx context.Context, kid, alg string) (found []jose.JSONWebKey, err error) {
	err = r.search(ctx, func(s *Static) bool {
		found = s.find(kid, alg)
		return len(found) > 0
	})
	return found, err
}

// Holds implements [Certificates].
func (r *Remote) Holds(ctx context.Context, certificate *x509.Certificate) (held bool, err error) {
	err = r.search(ctx, func(s *Static) bool {
		held = s.holds(certificate)
		return held
	})
	return held, err
}

// search calls in with the document, and with a newer one if it is time for it.
// It is an error if nothing is found and the last fetch has failed: what is looked
// for may be in what was not to be had.
func (r *Remote) search(ctx context.Context, in func(*Static) bool) error {
	found, due, err := r.look(in)
	if due && r.take(ctx, !found) {
		defer func() { <-r.turn }()
		// Unless another has fetched in the meantime.
		if found, due, err = r.look(in); due {
			r.fetch(ctx)
			found, _, err = r.look(in)
		}
	} else if due && !found {
		err = errors.New("another fetch takes too long")
	}
	if !found && err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// look searches the document that is there. It says whether it is time to fetch,
// and how the last fetch went.
func (r *Remote) look(in func(*Static) bool) (found, due bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found = r.document != nil && in(r.document)
	now := r.now()
	wanted := r.document == nil || !now.Before(r.fresh) || !found && !now.Before(r.unknown)
	return found, wanted && !now.Before(r.again), r.err
}

// take takes the turn to fetch, and waits for it if need be.
func (r *Remote) take(ctx context.Context, wait bool) bool {
	select {
	case r.turn <- struct{}{}:
		return true
	default:
	}
	if !wait {
		return false
	}
	timeout := time.NewTimer(fetchTimeout)
	defer timeout.Stop()
	select {
	case r.turn <- struct{}{}:
		return true
	case <-timeout.C:
	case <-ctx.Done():
	}
	return false
}

// fetch replaces the document if it can.
func (r *Remote) fetch(ctx context.Context) {
	document, age, err := r.get(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	now, pause := r.now(), emptyPause
	if r.document != nil {
		r.unknown, pause = now.Add(unknownPause), stalePause
	}
	if r.err = err; err != nil {
		r.again = now.Add(pause)
		return
	}
	r.document, r.since, r.fresh = document, now, now.Add(age)
}

// Fetched is when the document that is in use was fetched. Keys may have been
// published since that it lacks.
func (r *Remote) Fetched() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.since
}

// get downloads the document. One who asks for it and goes away does not spoil
// it for the others.
func (r *Remote) get(ctx context.Context) (*Static, time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("fetching a JWK Set: %w", err)
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := r.client.Do(request)
	if err != nil {
		return nil, 0, fmt.Errorf("fetching a JWK Set: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("fetching a JWK Set: status %d", response.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	if err != nil {
		return nil, 0, fmt.Errorf("fetching a JWK Set: %w", err)
	}
	document, err := Parse(b)
	if err != nil {
		return nil, 0, fmt.Errorf("the JWK Set of %s: %w", response.Request.URL.Redacted(), err)
	}
	return document, age(response.Header), nil
}

// age is how long a document may be used (RFC 9111 §5.2.2), within bounds.
func age(h http.Header) time.Duration {
	age := maxAge
	for directive := range strings.SplitSeq(strings.Join(h["Cache-Control"], ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return minAge
		case "max-age":
			if seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
				age = min(age, time.Duration(seconds)*time.Second)
			}
		}
	}
	return max(age, minAge)
}
