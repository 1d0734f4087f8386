package caddymodule

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/operator"
)

const (
	// exportPage is how many bytes are read at a time: while the store is read it
	// cannot use its room again, and so must not wait for whoever reads the export.
	exportPage = 1 << 20
	// exportWait is how long a page may take to be sent.
	exportWait = 30 * time.Second
)

// export writes every live record, one a line, in the order of their keys. A record
// that is stored throughout is among them; one that comes or goes meanwhile may be.
// Where it fails halfway, the stream is cut off, not ended.
func (c *call) export() (any, error) {
	query, err := c.query("kind", "after")
	if err != nil {
		return nil, err
	}
	kinds, after, err := exportRange(query)
	if err != nil {
		return nil, err
	}
	c.w.Header().Set("Content-Type", "application/x-ndjson")
	if c.r.Method == http.MethodHead {
		return nil, nil
	}
	ex := &exporting{list: c.list, w: c.w, control: http.NewResponseController(c.w)}
	err = ex.run(c.r.Context(), kinds, after)
	_ = ex.control.SetWriteDeadline(time.Time{}) // which would hold for the next request too
	if err != nil && ex.begun {
		panic(http.ErrAbortHandler)
	}
	return nil, err
}

// exportRange reads which kinds are to be exported, and after which key.
func exportRange(query url.Values) (kinds []revocation.Kind, after revocation.Key, err error) {
	if id := query.Get("after"); id != "" {
		if after, err = revocation.ParseID(id); err != nil {
			return nil, after, invalidQuery("after", "must be a whole id")
		}
	}
	for _, name := range names(query.Get("kind")) {
		kind, err := revocation.ParseKind(name)
		if err != nil {
			return nil, after, invalidQuery("kind", fmt.Sprintf("must be of %v", revocation.Kinds()))
		}
		kinds = append(kinds, kind)
	}
	if len(kinds) == 0 {
		kinds = revocation.Kinds()
	}
	slices.Sort(kinds)
	return slices.DeleteFunc(slices.Compact(kinds), func(kind revocation.Kind) bool { return kind < after.Kind }), after, nil
}

// exporting is an export that is under way.
type exporting struct {
	list    *revocation.Denylist
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool // something was sent
}

func (ex *exporting) run(ctx context.Context, kinds []revocation.Kind, after revocation.Key) error {
	for _, kind := range kinds {
		from := revocation.Key{Kind: kind}
		if kind == after.Kind {
			from = after
		}
		for more := true; more; {
			page, next, err := ex.page(ctx, from, after)
			if err != nil {
				return err
			}
			if err := ex.send(page); err != nil {
				return err
			}
			from, more = next, next.Kind == kind
		}
	}
	return ex.send(nil) // also where there is nothing
}

var errPage = errors.New("the page is full")

// page reads the records of one kind from a key on, as far as they fit, without
// the one that the export is to begin after. Next is the key to go on with, or none.
func (ex *exporting) page(ctx context.Context, from, after revocation.Key) (page []byte, next revocation.Key, err error) {
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	err = ex.list.Scan(ctx, from, func(r revocation.Record) error {
		switch {
		case r.Key.Kind != from.Kind:
			return errPage
		case b.Len() >= exportPage:
			next = r.Key
			return errPage
		case r.Key == after:
			return nil
		}
		return lines.Encode(operator.RecordOf(r))
	})
	if errors.Is(err, errPage) {
		err = nil
	}
	return b.Bytes(), next, err
}

func (ex *exporting) send(page []byte) error {
	ex.begun = true
	_ = ex.control.SetWriteDeadline(time.Now().Add(exportWait)) // not every test's writer can
	if _, err := ex.w.Write(page); err != nil {
		return err
	}
	return ex.control.Flush()
}
