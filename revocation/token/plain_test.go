package token

import (
	"strings"
	"testing"
)

func TestPlain(t *testing.T) {
	for _, n := range []int{1, 9, 31, 32, 33, 64, 90} {
		for _, text := range []string{strings.Repeat("a0zZ9A", n)[:n], strings.Repeat("a-_9", n)[:n]} {
			for c := range 256 {
				for at := range text {
					b := []byte(text)
					b[at] = byte(c)
					want := sixes[c] != notBase64URL
					if got := plain(string(b)); got != want {
						t.Fatalf("plain(%q) = %t", b, got)
					}
				}
			}
		}
	}
	if !plain("") {
		t.Error("nothing is not plain")
	}
}

// Any two characters side by side, so that none makes up for the other.
func TestPlainInPairs(t *testing.T) {
	for first := range 256 {
		for second := range 256 {
			b := []byte(strings.Repeat("abcd", 8))
			b[3], b[4] = byte(first), byte(second)
			want := sixes[first] != notBase64URL && sixes[second] != notBase64URL
			if got := plain(string(b)); got != want {
				t.Fatalf("plain(%q) = %t", b, got)
			}
		}
	}
}
