package endpoint

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// A panic is an answer like any other, and tells nothing that was sent.
func TestPanics(t *testing.T) {
	for name, panics := range map[string]func(){
		"error": func() { panic(errors.New("t0ken")) },
		"text":  func() { panic("t0ken") },
		"index": func() { _ = strings.Split("t0ken", ",")[len(t.Name())] },
		"type":  func() { _ = any("t0ken").(error) },
	} {
		for _, profile := range []Profile{ProfileRFC7009, ProfileJSON, ProfileFAPI} {
			e, err := New(Config{
				Clients: clients(t), Retain: 1, Profile: profile,
				RemoteAddr: func(*http.Request) netip.Addr { panics(); return netip.Addr{} },
			})
			if err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			done := e.Serve(away, w, request("token=t0ken"))
			if done.Err == nil {
				t.Fatalf("%s: %+v", name, done)
			}
			if w.Code != 500 || done.Status != 500 || done.Error != "server_error" || !errors.Is(done.Err, errPanic) || len(done.Records) != 0 {
				t.Errorf("%s: %d %+v", name, w.Code, done)
			}
			if !strings.Contains(done.Err.Error(), "TestPanics") || strings.Contains(done.Err.Error()+w.Body.String(), "t0ken") {
				t.Errorf("%s: %v", name, done.Err)
			}
			if w.Header().Get("Cache-Control") != "no-store" || !strings.Contains(w.Body.String(), "server_error") || (profile == ProfileFAPI) != isUUID(w.Header().Get(interactionID)) {
				t.Errorf("%s: %v %s", name, w.Header(), w.Body)
			}
		}
	}
}

// Who wants the connection cut gets it cut.
func TestAbortGoesOn(t *testing.T) {
	defer func() {
		if v := recover(); v != http.ErrAbortHandler {
			t.Errorf("recovered %v", v)
		}
	}()
	newEndpoint(t).Serve(func(context.Context) (*revocation.Denylist, error) { panic(http.ErrAbortHandler) }, httptest.NewRecorder(), request("token=t"))
}

// After a status that was sent there is no other.
func TestPanicAfterTheAnswer(t *testing.T) {
	w := &brokenWriter{httptest.NewRecorder()}
	done := newEndpoint(t).Serve(away, w, request("token=t0ken"))
	if w.Code != http.StatusServiceUnavailable || done.Status != http.StatusServiceUnavailable || !errors.Is(done.Err, errPanic) {
		t.Errorf("%d %+v", w.Code, done)
	}
}

type brokenWriter struct{ *httptest.ResponseRecorder }

func (brokenWriter) Write([]byte) (int, error) { panic("broken") }
