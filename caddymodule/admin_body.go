package caddymodule

import (
	"fmt"
	"mime"
	"net/url"
	"slices"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/body"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/operator"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/strictjson"
)

// maxAdminBody bounds what is read of a request, in bytes.
const maxAdminBody = 64 << 10

// body is that of a request that says it is JSON.
func (c *call) body() ([]byte, error) {
	if c.r.URL.RawQuery != "" {
		return nil, fmt.Errorf("%w: there is a query, which would stand in logs: everything goes into the body", operator.ErrInvalid)
	}
	mediaType, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" || c.r.Header.Get("Content-Encoding") != "" {
		return nil, errMediaType
	}
	return body.Read(c.w, c.r, maxAdminBody)
}

// read reads the body into a struct, strictly.
func (c *call) read(into any) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	if err := strictjson.Unmarshal(b, into); err != nil {
		return fmt.Errorf("%w: %w", operator.ErrInvalid, err)
	}
	return nil
}

// query returns the parameters of a query that has none but these, each once.
func (c *call) query(names ...string) (url.Values, error) {
	values, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("%w: the query cannot be read", operator.ErrInvalid)
	}
	for name, several := range values {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("%w: the query may have nothing but %v", operator.ErrInvalid, names)
		}
		if len(several) > 1 {
			return nil, fmt.Errorf("%w: %s stands twice", operator.ErrInvalid, name)
		}
	}
	return values, nil
}
