package endpoint

import (
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/relay"
)

// retryAfter is when a client that was turned away may come back.
const retryAfter = 2 * time.Second

// refusal is an error answer (RFC 6749 §5.2, RFC 7009 §2.2.1).
type refusal struct {
	status      int
	code        string
	description string
	basic       bool // the client tried Basic
	// fields says of each invalid part of the body what is wrong; nil if the
	// refusal is about something else.
	fields map[string]string
	// wait is how long it takes until a retry can succeed; 0 is retryAfter.
	wait time.Duration
	// limit is what it is for with status 429.
	limit Limit
	// relayed is the answer of the authorization server, to be given as it is;
	// nil if the refusal is of this side.
	relayed *relay.Answer
	err     error
}

func invalidRequest(description string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: "invalid_request", description: description}
}

// wholeBody stands for the name of a field where the body as such is wrong.
const wholeBody = "body"

func invalidField(name, wrong string) *refusal {
	return invalidFields(map[string]string{name: wrong})
}

func invalidFields(fields map[string]string) *refusal {
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		texts = append(texts, name+" "+fields[name])
	}
	f := invalidRequest(strings.Join(texts, ", "))
	f.fields = fields
	return f
}

const invalidClientCode = "invalid_client"

func invalidClient(basic bool) *refusal {
	return &refusal{status: http.StatusUnauthorized, code: invalidClientCode, description: "client authentication failed", basic: basic}
}

// unavailable says that nothing was promised and that a retry may succeed. For
// all the client knows, the token lives (RFC 7009 §2.2.1).
func unavailable(err error) *refusal {
	return &refusal{
		status: http.StatusServiceUnavailable, code: "temporarily_unavailable",
		description: "the revocation could not be made durable; try again", err: err,
	}
}

// tooMany says when there is room again (RFC 6585 §4). The code is that of
// RFC 6749 §4.1.2.1, which clients know from 503 too: OAuth has none of its own
// for this but slow_down, which is about polling (RFC 8628 §3.5).
func tooMany(limit Limit, description string, wait time.Duration) *refusal {
	return &refusal{
		status: http.StatusTooManyRequests, code: "temporarily_unavailable",
		description: description, wait: max(wait, time.Second), limit: limit,
	}
}

// unproved says whether the client was refused because it did not prove, or the
// authorization server does not believe, who it is.
func (f *refusal) unproved() bool {
	return f != nil && (f.status == http.StatusUnauthorized || f.code == invalidClientCode)
}

func (e *Endpoint) refuse(w http.ResponseWriter, f *refusal) (status int) {
	if f.relayed != nil {
		return handBack(w, f.relayed)
	}
	switch f.status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		w.Header().Set("Retry-After", f.retryAfter())
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", allow)
	}
	if f.basic {
		basicChallenge(w.Header(), e.realm)
	}
	return e.manner.fail(w, f)
}

// retryAfter is the wait in whole seconds, so that a client which keeps to it
// does not come too early.
func (f *refusal) retryAfter() string {
	return strconv.Itoa(int(math.Ceil(cmp.Or(f.wait, retryAfter).Seconds())))
}

// answer writes JSON: an empty object too, since several widely used clients
// fail at an answer that is empty or has no type.
func answer(w http.ResponseWriter, status int, value any) {
	b, err := json.Marshal(value)
	if err != nil { // of structs of strings: cannot be
		status, b = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b) // a client that has gone has its answer anyway
}
