package strictjson

import (
	"encoding/json"
	"fmt"
	"testing"
)

// The quick way finds what the decoder does.
func FuzzEach(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` { } `, `{"a":1}`, `{"a" : "b" , "c":[1,{"d":"}"}],"e":null}`, `{"a\u0062\"":"\\","ä":"\ud800"}`,
		`{"a":{"b":[[],{}]},"a":-1.5e3,"":true}`, `{"a":1}{}`, `{"a":`, `[]`, `{"a":"]}"}`, "{\"\xff\":\"\xff\"}",
		"\v{}", "\u00a0{}", "{}\u0085",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var quick, slow []string
		collect := func(list *[]string) func(string, json.RawMessage) {
			return func(name string, value json.RawMessage) {
				*list = append(*list, fmt.Sprintf("%q:%q", name, value))
			}
		}
		err, slowErr := Each(b, collect(&quick)), each(b, collect(&slow))
		if fmt.Sprint(err) != fmt.Sprint(slowErr) || err == nil && fmt.Sprint(quick) != fmt.Sprint(slow) {
			t.Errorf("%q: %v %v, want %v %v", b, quick, err, slow, slowErr)
		}
	})
}

func BenchmarkUnmarshal(b *testing.B) {
	line := []byte(`{"id":"token:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","kind":"token","effect":"refuse","revoked_at":"2026-11-22T04:37:32.123Z","expires":"2026-11-22T06:37:32Z","by":"client-1"}`)
	var into struct {
		ID        string `json:"id"`
		Kind      string `json:"kind"`
		Effect    string `json:"effect"`
		RevokedAt string `json:"revoked_at"`
		Expires   string `json:"expires"`
		By        string `json:"by"`
	}
	for b.Loop() {
		if err := Unmarshal(line, &into); err != nil {
			b.Fatal(err)
		}
	}
}
