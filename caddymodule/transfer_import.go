package caddymodule

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/body"
)

// What one request may import, and how long that may take. Clients with more send
// several requests, one after the other.
const (
	importBytes = 16 << 20
	maxLines    = 50_000
	maxLine     = 64 << 10
	importTime  = time.Minute
	// importQueue is how long a request waits for another's import.
	importQueue = 5 * time.Second
)

// oneImport is held by the import that runs: each holds in memory what it was sent.
var oneImport = make(chan struct{}, 1)

var (
	errImporting = errors.New("another import is running")
	errLinesType = errors.New("the Content-Type must be application/x-ndjson, and without a Content-Encoding")
)

// importLines stores what stands in the lines of the body. It answers how many
// lines that were, once all of it is durable. A line that cannot be read ends it
// with 400, and everything before is durable; with `keep_going=true` it is left out.
func (c *call) importLines() (any, error) {
	mediaType, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/x-ndjson" || c.r.Header.Get("Content-Encoding") != "" {
		return nil, errLinesType
	}
	im := newImporting(c.app, c.list)
	if err := im.options(c); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), importTime)
	defer cancel()
	select {
	case oneImport <- struct{}{}:
		defer func() { <-oneImport }()
	case <-time.After(importQueue):
		return nil, errImporting
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	// All of it first: the disk must not keep the client waiting while it sends.
	lines, err := body.Read(c.w, c.r, importBytes)
	if err != nil {
		return nil, err
	}
	err = im.run(ctx, lines)
	if im.Stored > 0 {
		c.app.auditImport(ctx, im)
	}
	return im.answer(c.w, err)
}

// options reads the query.
func (im *importing) options(c *call) error {
	query, err := c.query("by", "keep_going")
	if err != nil {
		return err
	}
	im.by = query.Get("by")
	if text := query.Get("keep_going"); text != "" {
		if im.keepGoing, err = strconv.ParseBool(text); err != nil {
			return invalidQuery("keep_going", "must be true or false")
		}
	}
	return nil
}

// refusedLine is the answer where a line cannot be read: what was done before it.
type refusedLine struct {
	Error string `json:"error"`
	imported
}

func (im *importing) answer(w http.ResponseWriter, err error) (any, error) {
	bad, is := errors.AsType[badLine](err)
	if !is {
		metrics.revocations.administered(wayImport, err)
		return im.imported, err
	}
	im.Bad = []badLine{bad}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	return refusedLine{bad.Error(), im.imported}, nil
}
