package endpoint

import (
	"mime"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// fapiManner is that of APIs for regulated third parties, such as banks have
// to open: header fields that begin with x-fapi, an id on every answer.
type fapiManner struct{ formManner }

const interactionID = "X-Fapi-Interaction-Id"

const maxUserAgent = 4 << 10 // bytes of x-customer-user-agent

var authDate = regexp.MustCompile(`^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d{2}:\d{2}:\d{2} (GMT|UTC)$`)

func (fapiManner) begin(h http.Header, r *http.Request) *refusal {
	id, given, ok := single(r.Header, interactionID)
	valid := ok && given && isUUID(id)
	if !valid {
		id = uuid.NewString()
	}
	h.Set(interactionID, id)
	if given && !valid {
		return invalidRequest("x-fapi-interaction-id must be one UUID (RFC 4122)")
	}
	for _, field := range fapiFields {
		value, given, ok := single(r.Header, field.name)
		if given && !(ok && field.valid(value)) {
			return invalidRequest(field.name + " must be " + field.want)
		}
	}
	if !acceptsJSON(r.Header["Accept"]) {
		return &refusal{status: http.StatusNotAcceptable, code: "invalid_request", description: "Accept must not exclude application/json"}
	}
	return nil
}

var fapiFields = []struct {
	name, want string
	valid      func(string) bool
}{
	{"x-fapi-auth-date", "a date such as Tue, 11 Sep 2012 19:43:31 GMT", authDate.MatchString},
	{"x-fapi-customer-ip-address", "an IP address", isAddress},
	{"x-customer-user-agent", "of at most 4 KiB", func(s string) bool { return len(s) <= maxUserAgent }},
}

// single is the value of a header field that may stand once; ok is false if it
// stands more often.
func single(h http.Header, name string) (value string, given, ok bool) {
	values := h.Values(name)
	if len(values) == 0 {
		return "", false, true
	}
	return values[0], true, len(values) == 1
}

func isUUID(s string) bool {
	const written = 36 // characters; the library reads other writings too
	_, err := uuid.Parse(s)
	return err == nil && len(s) == written
}

func isAddress(s string) bool {
	address, err := netip.ParseAddr(s)
	return err == nil && address.Zone() == ""
}

// acceptsJSON says whether the fields Accept let an answer be application/json
// (RFC 9110 §12.5.1): the most specific range that covers it decides.
func acceptsJSON(fields []string) bool {
	if strings.Trim(strings.Join(fields, ","), ", \t") == "" { // excludes nothing
		return true
	}
	weight, decided := 0.0, -1
	for item := range strings.SplitSeq(strings.Join(fields, ","), ",") {
		media, parameters, err := mime.ParseMediaType(item)
		rank := map[string]int{"*/*": 0, "application/*": 1, "application/json": 2}
		specific, covers := rank[media]
		if err != nil || !covers || specific < decided {
			continue
		}
		q, err := strconv.ParseFloat(parameters["q"], 64)
		if err != nil {
			q = 1
		}
		if specific > decided {
			weight = 0
		}
		weight, decided = max(weight, q), specific
	}
	return weight > 0
}

func (fapiManner) unknown() *refusal {
	return &refusal{status: http.StatusNotFound, code: "invalid_request", description: "there is no such token"}
}

func (fapiManner) unanswered() int { return http.StatusGatewayTimeout }

func (fapiManner) succeed(w http.ResponseWriter) int {
	w.WriteHeader(http.StatusNoContent)
	return http.StatusNoContent
}

func (fapiManner) fail(w http.ResponseWriter, f *refusal) int {
	answer(w, f.status, struct {
		Errors []string `json:"errors"`
	}{[]string{f.code + ": " + f.description}})
	return f.status
}
