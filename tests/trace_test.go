package tests

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/proto"
)

// traceCollector takes spans as an OpenTelemetry collector does, by OTLP over HTTP.
type traceCollector struct {
	*httptest.Server

	mu    sync.Mutex
	bytes bytes.Buffer
	spans []traceSpan
}

// traceSpan is a span: its trace, and its attributes as text.
type traceSpan struct {
	trace      string
	attributes map[string]string
}

// newTraceCollector starts one, to which every Caddy of the test sends its spans.
func newTraceCollector(t *testing.T) *traceCollector {
	s := new(traceCollector)
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	t.Setenv("OTEL_TRACES_EXPORTER", "otlp")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", s.URL)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
	return s
}

func (s *traceCollector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	var sent collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(b, &sent)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, fmt.Sprint(err), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes.Write(b)
	for _, resource := range sent.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			for _, span := range scope.Spans {
				attributes := map[string]string{}
				for _, a := range span.Attributes {
					attributes[a.Key] = traceText(a.Value)
				}
				s.spans = append(s.spans, traceSpan{fmt.Sprintf("%x", span.TraceId), attributes})
			}
		}
	}
}

func traceText(v *common.AnyValue) string {
	switch v := v.Value.(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_ArrayValue:
		var list []string
		for _, one := range v.ArrayValue.Values {
			list = append(list, traceText(one))
		}
		return strings.Join(list, ",")
	}
	return fmt.Sprint(v)
}

// wants expects one span about a path, and what it says of tokens.
func (s *traceCollector) wants(t *testing.T, path string, want map[string]string) traceSpan {
	t.Helper()
	var found traceSpan
	eventually(t, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		n := 0
		for _, span := range s.spans {
			if span.attributes["url.path"] == path {
				found, n = span, n+1
			}
		}
		if n != 1 {
			return fmt.Errorf("%d spans about %s", n, path)
		}
		return nil
	})
	got := map[string]string{}
	for name, value := range found.attributes {
		if after, ok := strings.CutPrefix(name, "token_revocation."); ok {
			got[after] = value
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the span about %s says %v, want %v", path, got, want)
	}
	return found
}

// The span of a request says why it was refused, which dry runs would have
// refused it, and what it revoked. The audit line has its trace.
func TestTracing(t *testing.T) {
	collector := newTraceCollector(t)
	as, up := newAuthority(t), newUpstream(t)
	site := auditSite(judgedConfig("issuer "+as.URL, "revoke session"))
	site = strings.Replace(site, "http://localhost:PORT {\n", "http://localhost:PORT {\n\ttracing\n", 1)
	c := start(t, site, up)
	a := newAdmin(t, c)
	token, other, opaque := as.token(claimSet{"sid": "s-1"}), as.token(claimSet{"sid": "s-1"}), newToken()
	ask := func(path, token string) {
		t.Helper()
		request := healthRequest(t, c.url+path)
		request.Header.Set("Authorization", "Bearer "+token)
		do(t, request)
	}
	c.revoke(t, token)
	lines := c.auditLines(t)
	if len(lines) != 2 {
		t.Fatalf("%+v", lines)
	}
	ofToken, ofSession := lines[0].Digest, lines[1].Digest
	span := collector.wants(t, "/token/revocation", map[string]string{
		"way": "endpoint", "client": "backend",
		"changed.kind": "token,session", "changed.digest": ofToken + "," + ofSession, "changed.effect": "refuse,refuse",
	})
	for _, l := range lines {
		if l.TraceID != span.trace || len(l.TraceID) != 32 {
			t.Errorf("the trace of the line is %q, and of the span %q", l.TraceID, span.trace)
		}
	}
	ask("/token", token)
	collector.wants(t, "/token", map[string]string{"reason": "revoked", "kind": "token", "digest": ofToken})
	ask("/session", other)
	collector.wants(t, "/session", map[string]string{"reason": "revoked", "kind": "session", "digest": ofSession})
	ask("/malformed", "a, b")
	collector.wants(t, "/malformed", map[string]string{"reason": "malformed"})
	ask("/passed", opaque)
	collector.wants(t, "/passed", map[string]string{})
	issuer := a.change(t, "revoke", about(fmt.Sprintf(`"kind":"issuer","issuer":%q`, as.URL), `"dry_run":true`))
	ask("/counted?access_token="+opaque, as.token(claimSet{"sid": "s-2"}))
	collector.wants(t, "/counted", map[string]string{"reason": "passed", "dry_run": "issuer " + issuer.ID[len("issuer:"):][:12]})

	collector.mu.Lock()
	defer collector.mu.Unlock()
	for _, secret := range []string{token, other, opaque, "backend-secret", strings.Split(token, ".")[1]} {
		if bytes.Contains(collector.bytes.Bytes(), []byte(secret)) {
			t.Errorf("%q stands in a span", secret)
		}
	}
}
