package endpoint

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
)

var errPanic = errors.New("panic")

// maxStack is how much of a stack is reported, in bytes.
const maxStack = 4 << 10

// sentWriter knows which status has been sent.
type sentWriter struct {
	http.ResponseWriter
	status int // 0 if none
}

func (w *sentWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *sentWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (w *sentWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// panicked answers in place of what panicked. A server would else give the
// status 200 to an answer that nobody has begun.
func (e *Endpoint) panicked(w *sentWriter, v any) Outcome {
	if v == http.ErrAbortHandler {
		panic(v)
	}
	stack := debug.Stack()
	err := fmt.Errorf("%w: %s\n%s", errPanic, describe(v), stack[:min(len(stack), maxStack)])
	const code = "server_error"
	if w.status != 0 {
		return Outcome{Status: w.status, Error: code, Err: err}
	}
	status := e.refuse(w, &refusal{status: http.StatusInternalServerError, code: code, description: "something went wrong here"})
	return Outcome{Status: status, Error: code, Err: err}
}

// describe says what a panic was about, but for values that may hold anything.
func describe(v any) string {
	if err, ok := v.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", v)
}
