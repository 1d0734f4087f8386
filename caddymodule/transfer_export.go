package caddymodule

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

const (
	// exportPage is how many bytes are read at a time: while the store is read it
	// cannot use its room again, and so must not wait for whoever reads the export.
	exportPage = 1 << 20
	// exportWait is how long a page may take to be sent.
	exportWait = 30 * time.Second
)

// serveExport writes every live record, one a line, in the order of their keys. A
// record that is stored throughout is among them; one that comes or goes meanwhile
// may be. Where it fails halfway, the stream is cut off, not ended.
func serveExport(w http.ResponseWriter, r *http.Request) error {
	if err := wantMethod(w, r, http.MethodGet); err != nil {
		return err
	}
	_, list, err := runningDenylist(w)
	if err != nil {
		return err
	}
	kinds, after, err := exportQuery(r)
	if err != nil {
		return badRequest(err)
	}
	ex := &export{list: list, w: w, control: http.NewResponseController(w)}
	err = ex.run(r.Context(), kinds, after)
	_ = ex.control.SetWriteDeadline(time.Time{}) // which would hold for the next request too
	switch {
	case err == nil:
		return nil
	case !ex.begun:
		return unavailable(w, err)
	}
	panic(http.ErrAbortHandler)
}

// exportQuery reads which kinds are to be exported, and after which key.
func exportQuery(r *http.Request) (kinds []revocation.Kind, after revocation.Key, err error) {
	for name, values := range r.URL.Query() {
		switch {
		case len(values) > 1:
			return nil, after, fmt.Errorf("%q stands twice", name)
		case name == "after":
			if after, err = revocation.ParseID(values[0]); err != nil {
				return nil, after, errors.New("after must be a whole id")
			}
		case name == "kind":
			for text := range strings.SplitSeq(values[0], ",") {
				kind, err := revocation.ParseKind(text)
				if err != nil {
					return nil, after, errors.New("kind must be kinds of records, with commas")
				}
				kinds = append(kinds, kind)
			}
		default:
			return nil, after, errors.New("there is a parameter other than kind and after")
		}
	}
	if kinds == nil {
		kinds = revocation.Kinds()
	}
	slices.Sort(kinds)
	kinds = slices.Compact(kinds)
	return slices.DeleteFunc(kinds, func(kind revocation.Kind) bool { return kind < after.Kind }), after, nil
}

// export is one that is under way.
type export struct {
	list    *revocation.Denylist
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool // something was sent
}

func (ex *export) run(ctx context.Context, kinds []revocation.Kind, after revocation.Key) error {
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
func (ex *export) page(ctx context.Context, from, after revocation.Key) (page []byte, next revocation.Key, err error) {
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
		return lines.Encode(recordOf(r))
	})
	if errors.Is(err, errPage) {
		err = nil
	}
	return b.Bytes(), next, err
}

func (ex *export) send(page []byte) error {
	if !ex.begun {
		ex.w.Header().Set("Content-Type", "application/x-ndjson")
		ex.begun = true
	}
	_ = ex.control.SetWriteDeadline(time.Now().Add(exportWait)) // not every test's writer can
	if _, err := ex.w.Write(page); err != nil {
		return err
	}
	return ex.control.Flush()
}
