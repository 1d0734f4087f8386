package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// What one request may import, and how long that may take. Clients with more send
// several requests, one after the other.
const (
	importBytes = 16 << 20
	importLines = 50_000
	importLine  = 64 << 10
	importRead  = 30 * time.Second
	importTime  = time.Minute
	// importQueue is how long a request waits for another's import.
	importQueue = 5 * time.Second
)

// importing is held by the one import that runs: each holds in memory what it was
// sent.
var importing = make(chan struct{}, 1)

var errImporting = errors.New("another import is running")

// serveImport stores what stands in the lines of the body. It answers how many
// lines that were, once all of it is durable. A line that cannot be read ends it
// with 400, and everything before is durable; with `keep_going=true` it is left out.
func serveImport(w http.ResponseWriter, r *http.Request) error {
	if err := wantMethod(w, r, http.MethodPost); err != nil {
		return err
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-ndjson" {
		return badRequest(errors.New("the content type must be application/x-ndjson"))
	}
	app, list, err := runningDenylist(w)
	if err != nil {
		return err
	}
	im := newImports(app, list)
	if err := im.query(r); err != nil {
		return badRequest(err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), importTime)
	defer cancel()
	select {
	case importing <- struct{}{}:
		defer func() { <-importing }()
	case <-time.After(importQueue):
		return unavailable(w, errImporting)
	case <-ctx.Done():
		return unavailable(w, context.Cause(ctx))
	}
	body, err := readImport(w, r)
	if err != nil {
		return err
	}
	err = im.run(ctx, body)
	im.tell(ctx)
	return im.answer(w, err)
}

// readImport reads the body before anything is done about it: the disk must not
// keep the client waiting while it sends.
func readImport(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(importRead))
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, importBytes))
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return nil, apiError(http.StatusRequestEntityTooLarge, fmt.Errorf("more than %d bytes in one request", importBytes))
	case err != nil:
		return nil, badRequest(errors.New("the body could not be read"))
	}
	return body, nil
}

// answer says what was done.
func (im *imports) answer(w http.ResponseWriter, err error) error {
	said := struct {
		imported
		Error string `json:"error,omitempty"`
	}{imported: im.imported}
	status := http.StatusOK
	switch bad, is := errors.AsType[badLine](err); {
	case is:
		status, said.Error, said.Bad = http.StatusBadRequest, bad.Error(), []badLine{bad}
	case errors.Is(err, errTooMany):
		return apiError(http.StatusRequestEntityTooLarge, err)
	case err != nil:
		return unavailable(w, err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(said)
}

// tell writes the audit of an import: one line for all records, and one for each
// rule that may be about many tokens.
func (im *imports) tell(ctx context.Context) {
	if im.Stored == 0 {
		return
	}
	im.app.audit(ctx, wayImport, im.rules...)
	fields := []zap.Field{
		zap.String("way", string(wayImport)), zap.String("by", im.by),
		zap.Int("lines", im.Lines), zap.Int("stored", im.Stored), zap.Int("ended", im.Ended),
	}
	for _, kind := range revocation.Kinds() {
		if n := im.counts[kind]; n > 0 {
			fields = append(fields, zap.Int("kind_"+kind.String(), n))
		}
	}
	im.app.logger.Info("imported", fields...)
}
