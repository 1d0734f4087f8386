package token

import "testing"

func TestPlain(t *testing.T) {
	for c := range 256 {
		for at := range 20 {
			b := []byte("abcdefgh.-_0129ZAzaM")
			b[at] = byte(c)
			want := sixes[c] != notBase64URL || c == '.'
			if got := plain(string(b)); got != want {
				t.Errorf("plain(%q) = %t", b, got)
			}
		}
	}
}
