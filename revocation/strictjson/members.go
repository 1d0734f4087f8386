package strictjson

import (
	"encoding/json"
	"unicode/utf8"
)

// eachValid is [Each] for what is known to be one valid JSON object, without white
// space around it. An import reads millions of them.
func eachValid(b []byte, f func(name string, value json.RawMessage)) {
	i := space(b, 1)
	for b[i] != '}' {
		end := value(b, i)
		name := b[i:end]
		i = space(b, end)
		i = space(b, i+1) // the colon
		end = value(b, i)
		f(unquote(name), b[i:end:end])
		if i = space(b, end); b[i] == ',' {
			i = space(b, i+1)
		}
	}
}

// space is where the next character stands that is no white space.
func space(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r' {
		i++
	}
	return i
}

// value is where the value that begins at i ends.
func value(b []byte, i int) int {
	switch b[i] {
	case '"':
		for i++; b[i] != '"'; i++ {
			if b[i] == '\\' {
				i++
			}
		}
		return i + 1
	case '{', '[':
		for depth := 1; depth > 0; {
			switch i++; b[i] {
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			case '"':
				i = value(b, i) - 1
			}
		}
		return i + 1
	}
	for ; b[i] != ',' && b[i] != '}' && b[i] != ']' && space(b, i) == i; i++ {
	}
	return i
}

// plain says whether a JSON string needs no decoding.
func plain(quoted []byte) bool {
	for _, c := range quoted {
		if c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// unquote is the text of a JSON string.
func unquote(quoted []byte) (text string) {
	if plain(quoted) {
		return string(quoted[1 : len(quoted)-1])
	}
	_ = json.Unmarshal(quoted, &text)
	return text
}
