package caddymodule

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/endpoint"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/introspection"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/issuer"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/token"
)

// Issuer is an authorization server whose signed tokens can be verified here, so
// that it is known to whom a token was issued and to which session it belongs.
type Issuer struct {
	// The issuer's URL, exactly as in the claim `iss` of its tokens.
	URL string `json:"url,omitempty"`

	// Where its public keys are: the URL or the file of a JWK Set, or the JWK Set
	// itself. Default: the `jwks_uri` of the issuer's metadata (OpenID Connect
	// Discovery or RFC 8414).
	JWKS string `json:"jwks,omitempty"`

	// What may stand in the claim `aud`; one of a token's is enough. Default:
	// anything.
	Audiences []string `json:"audiences,omitempty"`

	// The claims in which the client_id may stand. To the endpoint the first of
	// them that a token has counts, to a rule every one. Default: `client_id`,
	// `azp`, `cid`, `appid`.
	ClientClaims []string `json:"client_claims,omitempty"`

	// The claim that names the session. To a rule, `sid` counts beside it. Default:
	// `sid`.
	SessionClaim string `json:"session_claim,omitempty"`

	// The claim that names the token. Default: `jti`.
	IDClaim string `json:"id_claim,omitempty"`
}

// Introspection asks an authorization server about tokens that nobody can
// verify here (RFC 7662).
type Introspection struct {
	// The introspection endpoint.
	URL string `json:"url,omitempty"`

	// The client_id with which this server authenticates there.
	ClientID string `json:"client_id,omitempty"`

	// The secret of that client. A placeholder such as `{env.X}` keeps it out of
	// the configuration.
	ClientSecret string `json:"client_secret,omitempty"`

	// How long to wait for an answer. Default: 5s.
	Timeout caddy.Duration `json:"timeout,omitempty"`
}

// checkURL refuses what cannot be asked over HTTP.
func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Host == "":
		if strings.Contains(s, "@") {
			return errors.New("that is not a URL, such as https://idp.example.com; it is not repeated, as it may contain credentials")
		}
		return fmt.Errorf("%q is not a URL, such as https://idp.example.com", s)
	case u.User != nil:
		return errors.New("a URL must not contain credentials")
	case u.Fragment != "":
		return fmt.Errorf("%q has a fragment", s)
	}
	return nil
}

// checkIssuer refuses what no issuer can be (RFC 8414 §2).
func checkIssuer(s string) error {
	if err := checkURL(s); err != nil {
		return err
	}
	if strings.Contains(s, "?") {
		return fmt.Errorf("%q has a query, as no issuer has", s)
	}
	return nil
}

// provisionJudge makes what knows whose tokens are, or leaves it nil.
func (a *App) provisionJudge() error {
	judges := endpoint.Judges{Issuers: map[string]endpoint.Judge{}}
	var namings []token.Naming
	for i, configured := range a.Issuers {
		known, err := a.issuer(configured)
		if err != nil {
			return fmt.Errorf("issuers[%d] (%s): %w", i, configured.URL, err)
		}
		if judges.Issuers[known.URL()] != nil {
			return fmt.Errorf("issuers[%d]: %s is there twice", i, known.URL())
		}
		judges.Issuers[known.URL()] = known
		namings = append(namings, configured.naming(known.URL()))
	}
	var err error
	if a.names, err = token.NewNames(namings...); err != nil {
		return fmt.Errorf("issuers: %w", err)
	}
	if a.Introspection != nil {
		asked, err := a.Introspection.provision()
		if err != nil {
			return fmt.Errorf("introspection: %w", err)
		}
		judges.Introspection = asked
	}
	if len(judges.Issuers) > 0 || judges.Introspection != nil {
		a.judge = judges
	}
	for address := range judges.Issuers {
		a.issuerURLs = append(a.issuerURLs, address)
	}
	return nil
}

// issuer is one that is configured. What it has published stays known through
// reloads.
func (a *App) issuer(configured Issuer) (*issuer.Issuer, error) {
	address, err := resolve("url", configured.URL)
	if err != nil {
		return nil, err
	}
	if err := checkIssuer(address); err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	config := issuer.Config{
		URL:          address,
		Audiences:    configured.Audiences,
		ClientClaims: configured.ClientClaims,
		SessionClaim: configured.SessionClaim,
		IDClaim:      configured.IDClaim,
		Leeway:       time.Duration(*a.Leeway),
	}
	if configured.JWKS != "" {
		if config.Keys, err = a.keySet(configured.JWKS); err != nil {
			return nil, err
		}
		return issuer.New(config)
	}
	config.Keys, err = keep(a, "issuer "+address, func() (*issuer.Discovery, error) {
		return issuer.Discover(address, nil, nil)
	})
	if err != nil {
		return nil, err
	}
	return issuer.New(config)
}

// naming is how rules know the issuer's tokens.
func (i *Issuer) naming(address string) token.Naming {
	return token.Naming{Issuer: address, Session: i.SessionClaim, ID: i.IDClaim, Clients: i.ClientClaims}
}

func (i *Introspection) provision() (*introspection.Introspection, error) {
	config := introspection.Config{Timeout: time.Duration(i.Timeout)}
	var err error
	if config.URL, err = resolve("url", i.URL); err != nil {
		return nil, err
	}
	if err := checkURL(config.URL); err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	if config.ClientID, err = resolve("client_id", i.ClientID); err != nil {
		return nil, err
	}
	if config.ClientSecret, err = resolveSecret(i.ClientSecret); err != nil {
		return nil, fmt.Errorf("client_secret: %w", err)
	}
	return introspection.New(config)
}
