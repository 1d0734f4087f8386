// Package strictjson reads JSON objects strictly: what readers could take in two
// ways is refused. No error of it repeats what was read, which may be secret.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// ErrNotOne says that what was read is not one JSON object.
var ErrNotOne = errors.New("must be one JSON object")

// Each calls f with the members of the object that is all there is in b,
// duplicates included. The error is [ErrNotOne].
func Each(b []byte, f func(name string, value json.RawMessage)) error {
	if b := bytes.Trim(b, " \t\r\n"); len(b) > 0 && b[0] == '{' && json.Valid(b) {
		eachValid(b, f)
		return nil
	}
	return each(b, f)
}

// each finds out what is wrong.
func each(b []byte, f func(name string, value json.RawMessage)) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return ErrNotOne
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return ErrNotOne
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return ErrNotOne
		}
		f(name.(string), value)
	}
	if _, err := d.Token(); err != nil {
		return ErrNotOne
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("%w, and nothing after it", ErrNotOne)
	}
	return nil
}

// Text is a JSON string of valid Unicode. Another has U+FFFD in place of what is
// not valid, and so would be a text that nobody sent.
func Text(value json.RawMessage) (text string, ok bool) {
	if value[0] != '"' {
		return "", false
	}
	text = unquote(value)
	return text, !strings.ContainsRune(text, utf8.RuneError)
}
