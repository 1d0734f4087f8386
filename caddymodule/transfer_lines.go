package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/operator"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/strictjson"
)

// importedLine is a line of an import: a [operator.Record], which has an effect; or an order
// to revoke a token or by a rule.
type importedLine struct {
	order

	Effect    string          `json:"effect"`
	RevokedAt moment          `json:"revoked_at"`
	Operator  bool            `json:"operator"`
	Version   uint64          `json:"version"`
	Trial     json.RawMessage `json:"trial"` // of a dry run somewhere else, which says nothing here
}

// entry is what a line means.
type entry struct {
	records []revocation.Record // none if it is blank, or has ended
	// anew says that they are to be revoked now, and are no records of another
	// denylist, which count as they are.
	anew  bool
	ended bool
}

// readLine reads a line. The error says what is wrong with it, and does not
// repeat it.
func (im *importing) readLine(b []byte, now time.Time) (entry, error) {
	if b = bytes.Trim(b, " \t\r\n"); len(b) == 0 {
		return entry{}, nil
	}
	if len(b) > maxLine {
		return entry{}, errors.New("the line is too long")
	}
	var line importedLine
	if err := strictjson.Unmarshal(b, &line); err != nil {
		return entry{}, err
	}
	if line.Effect == "" {
		return im.readOrder(&line, now)
	}
	r, err := line.record(now)
	if err == nil {
		err = r.Validate()
	}
	if err != nil {
		return entry{}, err
	}
	if !im.list.Live(&r) {
		return entry{ended: true}, nil
	}
	return entry{records: []revocation.Record{r}}, nil
}

// record is the line as a record of another denylist.
func (l *importedLine) record(now time.Time) (revocation.Record, error) {
	if l.Token != "" || l.DryRun {
		return revocation.Record{}, errors.New("a record has neither token nor dry_run")
	}
	issued, err := l.IssuedBefore.at(now)
	if err != nil {
		return revocation.Record{}, errors.New("issued_before " + err.Error())
	}
	expires, err := l.Expires.at(now)
	if err != nil {
		return revocation.Record{}, errors.New("expires " + err.Error())
	}
	revoked, err := l.RevokedAt.at(now)
	if err != nil || revoked.IsZero() {
		return revocation.Record{}, errors.New("a record needs its revoked_at, a time")
	}
	seen := operator.Record{
		ID: l.ID, Kind: l.Kind, Effect: l.Effect, Issuer: l.Issuer, Value: l.Value,
		IssuedBefore: issued, RevokedAt: revoked, Expires: expires, By: l.By, Operator: l.Operator, Reason: l.Reason, Version: l.Version,
	}
	return seen.Decode()
}

// readOrder is what the line wants revoked.
func (im *importing) readOrder(l *importedLine, now time.Time) (entry, error) {
	if l.RevokedAt != "" || l.Operator || l.Version != 0 || l.Trial != nil {
		return entry{}, errors.New("a record needs its effect")
	}
	if l.By == "" {
		l.By = im.by
	}
	o, err := l.order.at(now)
	if err != nil {
		return entry{}, err
	}
	records, err := o.Records(now, time.Duration(im.app.Retain))
	switch {
	case errors.Is(err, operator.ErrEnded):
		return entry{ended: true}, nil
	case err != nil:
		return entry{}, err
	}
	live := records[:0]
	for _, r := range records {
		if im.list.Live(&r) {
			live = append(live, r)
		}
	}
	return entry{records: live, anew: true, ended: len(live) == 0}, nil
}
