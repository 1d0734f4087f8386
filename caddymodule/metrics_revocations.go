package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/endpoint"
)

// What can become of a record, and what is answered to a request to an endpoint.
const (
	changeRevoked  = "revoked"
	changeRestored = "restored"
	changeDryRun   = "dry_run"
	changeFailed   = "failed"

	answerRevoked = "revoked"
	answerNothing = "nothing" // there was nothing to revoke, or nothing of this client's
	answerFailed  = "failed"
	answerLimited = "limited"
	answerOther   = "other"
)

// answers are all of them: those above, the error codes of RFC 6749 §5.2, RFC 7009
// §2.2.1 and RFC 9449 §8, and "relayed" for an authorization server's answer that
// has none of these.
var answers = []string{
	answerRevoked, answerNothing, answerFailed, answerLimited, answerOther,
	"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
	"invalid_scope", "unsupported_token_type", "invalid_token", "invalid_dpop_proof", "use_dpop_nonce", "relayed",
}

// revocationMetrics are about what is revoked and restored, and who asks for it.
type revocationMetrics struct {
	collectors
	changes, requests, unproved, limited *prometheus.CounterVec
}

func newRevocationMetrics() *revocationMetrics {
	m := &revocationMetrics{
		changes:  counterVec("revocations_total", "Records that were made durable, by the way they came and what they do, and requests that failed on this side.", "way", "result"),
		requests: counterVec("endpoint_requests_total", "Requests to revocation endpoints, by what was answered.", "result"),
		unproved: counterVec("authentication_failures_total", "Requests to revocation endpoints whose client did not prove who it is, by how it tried.", "method"),
		limited:  counterVec("limited_requests_total", "Requests to revocation endpoints that were answered 429, by what there was too much of.", "limit"),
	}
	m.collectors = collectors{m.changes, m.requests, m.unproved, m.limited}
	// All are there from the beginning, so that the first increase can be seen.
	operators := []string{changeRevoked, changeRestored, changeDryRun, changeFailed}
	for through, results := range map[way][]string{
		wayEndpoint: {changeRevoked, changeFailed}, wayAdmin: operators, wayImport: operators,
	} {
		for _, result := range results {
			m.changes.WithLabelValues(string(through), result)
		}
	}
	for _, answer := range answers {
		m.requests.WithLabelValues(answer)
	}
	for _, attempt := range []endpoint.Attempt{endpoint.AttemptBasic, endpoint.AttemptPost, endpoint.AttemptAssertion, endpoint.AttemptNone} {
		m.unproved.WithLabelValues(string(attempt))
	}
	for _, limit := range []endpoint.Limit{endpoint.LimitFailures, endpoint.LimitRate, endpoint.LimitRecords} {
		m.limited.WithLabelValues(string(limit))
	}
	return m
}

// changed counts records that are durable.
func (m *revocationMetrics) changed(through way, records []revocation.Record) {
	for i := range records {
		change := changeRevoked
		switch records[i].Effect {
		case revocation.Restored:
			change = changeRestored
		case revocation.Count:
			change = changeDryRun
		}
		m.changes.WithLabelValues(string(through), change).Inc()
	}
}

// failed counts a request that failed on this side.
func (m *revocationMetrics) failed(through way) {
	m.changes.WithLabelValues(string(through), changeFailed).Inc()
}

// administered counts a request to the admin API that has failed on this side, if
// it has. That an operator hangs up is no failure.
func (m *revocationMetrics) administered(through way, err error) {
	if err != nil && adminStatus(err) == http.StatusServiceUnavailable && !errors.Is(err, context.Canceled) {
		m.failed(through)
	}
}

// answered counts a request to an endpoint. A browser's question whether it may
// ask (CORS) is none.
func (m *revocationMetrics) answered(r *http.Request, done *endpoint.Outcome) {
	if r.Method == http.MethodOptions {
		return
	}
	answer := answerOf(done)
	m.requests.WithLabelValues(answer).Inc()
	if answer == answerFailed {
		m.failed(wayEndpoint)
	}
	if done.Unproved != "" {
		m.unproved.WithLabelValues(string(done.Unproved)).Inc()
	}
	if done.Limit != "" {
		m.limited.WithLabelValues(string(done.Limit)).Inc()
	}
}

// answerOf is one of [answers].
func answerOf(done *endpoint.Outcome) string {
	switch {
	case done.Status >= http.StatusInternalServerError, done.Error != "" && done.Err != nil:
		return answerFailed
	case done.Limit != "":
		return answerLimited
	case slices.Contains(answers, done.Error):
		return done.Error
	case done.Error != "":
		return answerOther
	case len(done.Records) > 0:
		return answerRevoked
	}
	return answerNothing
}
