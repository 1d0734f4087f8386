// Package introspection asks an authorization server about tokens (RFC 7662).
package introspection

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/endpoint"
)

const (
	// DefaultTimeout is how long an answer may take.
	DefaultTimeout = 5 * time.Second

	maxAnswer = 64 << 10 // bytes
	maxAsking = 256      // tokens that are asked about at the same time
)

var (
	// ErrAnswer says that the authorization server answered with something that
	// is no answer.
	ErrAnswer = errors.New("not an answer of introspection")

	// ErrBusy says that too many tokens are being asked about.
	ErrBusy = errors.New("too many introspections are under way")
)

// Config says whom to ask.
type Config struct {
	// URL of the introspection endpoint, http or https.
	URL string
	// ClientID and ClientSecret are the credentials for that endpoint; they are
	// sent as RFC 6749 §2.3.1 has it, by Basic.
	ClientID, ClientSecret string
	// Timeout of an answer; 0 is DefaultTimeout.
	Timeout time.Duration
	// Client does the asking; nil is one with the usual trust in certificates.
	// It follows no redirects here, as the token would go along.
	Client *http.Client
}

// Introspection is an authorization server that is asked. It is safe for
// concurrent use.
type Introspection struct {
	url           string
	authorization string // the header field
	timeout       time.Duration
	client        *http.Client
	asking        chan struct{}
}

// New checks what is configured. It asks nothing yet.
func New(c Config) (*Introspection, error) {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return nil, errors.New("introspection needs an http or https URL")
	case u.User != nil || u.Fragment != "":
		return nil, errors.New("the URL of introspection must have no credentials and no fragment")
	case c.ClientID == "" || c.ClientSecret == "":
		return nil, errors.New("introspection needs a client_id and a client_secret")
	case c.Timeout < 0:
		return nil, fmt.Errorf("a timeout of %s is negative", c.Timeout)
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	client := http.Client{}
	if c.Client != nil {
		client = *c.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	credentials := &http.Request{Header: http.Header{}}
	credentials.SetBasicAuth(url.QueryEscape(c.ClientID), url.QueryEscape(c.ClientSecret))
	return &Introspection{
		url: u.String(), authorization: credentials.Header.Get("Authorization"),
		timeout: c.Timeout, client: &client, asking: make(chan struct{}, maxAsking),
	}, nil
}

// Judge implements [endpoint.Judge]. It knows every token; an error says that
// there was no answer, or one that says nothing.
func (i *Introspection) Judge(ctx context.Context, presented string) (endpoint.Facts, bool, error) {
	select {
	case i.asking <- struct{}{}:
		defer func() { <-i.asking }()
	default:
		return endpoint.Facts{}, false, ErrBusy
	}
	ctx, cancel := context.WithTimeout(ctx, i.timeout)
	defer cancel()
	b, err := i.ask(ctx, presented)
	if err != nil {
		return endpoint.Facts{}, false, fmt.Errorf("introspection: %w", err)
	}
	facts, err := read(b)
	if err != nil {
		return endpoint.Facts{}, false, fmt.Errorf("introspection: %w", err)
	}
	facts.Refresh = facts.Refresh || facts.Active && isRefresh(presented)
	return facts, true, nil
}

// ask returns the body of the answer (RFC 7662 §2.1, §2.2).
func (i *Introspection) ask(ctx context.Context, presented string) ([]byte, error) {
	form := url.Values{"token": {presented}}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, i.url, strings.NewReader(form))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", i.authorization)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	response, err := i.client.Do(request)
	if err != nil {
		return nil, unanswered(err)
	}
	defer func() { _ = response.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	mediaType, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	switch {
	case response.StatusCode == http.StatusBadRequest && saysUnsupported(b):
		return nil, endpoint.ErrUnsupported
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%w: status %d", ErrAnswer, response.StatusCode)
	case mediaType != "application/json":
		return nil, fmt.Errorf("%w: its type is not application/json", ErrAnswer)
	case err != nil:
		return nil, err
	case len(b) > maxAnswer:
		return nil, fmt.Errorf("%w: more than %d bytes", ErrAnswer, maxAnswer)
	}
	return b, nil
}

// unanswered keeps of an error what this side has found. The rest quotes what came
// from the server, which has been told the token.
func unanswered(err error) error {
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		err = failed.Err
	}
	network, certificate := (net.Error)(nil), (*tls.CertificateVerificationError)(nil)
	if errors.As(err, &network) || errors.As(err, &certificate) || errors.Is(err, context.Canceled) || errors.Is(err, io.EOF) {
		return err
	}
	return fmt.Errorf("%w: not HTTP", ErrAnswer)
}
