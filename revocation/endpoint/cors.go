package endpoint

import "net/http"

// cors lets scripts of registered origins read the answer (Fetch standard,
// "CORS protocol"). Before the client is known, the origin of any client will
// do, so that a script can read why its authentication failed.
func (e *Endpoint) cors(h http.Header, r *http.Request) {
	if len(e.clients.origins) == 0 {
		return
	}
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if !e.clients.origins[origin] {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
		h.Set("Access-Control-Allow-Methods", http.MethodPost)
		// SDKs add fields of their own. The star does not stand for Authorization.
		h.Set("Access-Control-Allow-Headers", "Authorization, *")
		h.Set("Access-Control-Max-Age", "600")
		return
	}
	h.Set("Access-Control-Expose-Headers", "Retry-After, WWW-Authenticate")
}

// corsOf takes that back where the origin is not one of the client's own.
func corsOf(client *Client, h http.Header) {
	origin := h.Get("Access-Control-Allow-Origin")
	for _, own := range client.Origins {
		if own == origin {
			return
		}
	}
	h.Del("Access-Control-Allow-Origin")
	h.Del("Access-Control-Expose-Headers")
}
