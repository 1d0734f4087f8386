package token

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// known says whether a presented token is known by a key, or is one that nobody
// trusts.
func known(presented string, as revocation.Key) bool {
	id := Identify(presented)
	return id.Ambiguous || id.Key == as || slices.Contains(id.Others, as)
}

// spaces is all that go-jose takes for white space, and line ends of two.
var spaces = []string{
	"\t", "\n", "\v", "\f", "\r", "\r\n", " ", "\u0085", "\u00a0", "\u1680", "\u2000", "\u200a",
	"\u2028", "\u2029", "\u202f", "\u205f", "\u3000",
}

// insertions are the writings of a text with white space, all over it.
func insertions(s string) (list []string) {
	for i := range s { // the place of each rune
		space := spaces[i%len(spaces)]
		list = append(list, s[:i]+space+s[i:])
	}
	for _, space := range spaces {
		list = append(list, space+s, s+space, strings.Join(strings.Split(s, ""), space))
	}
	return list
}

// spareBits are the writings of a segment with other bits behind the last byte.
func spareBits(segment string) (list []string) {
	spare := map[int]int{0: 0, 2: 4, 3: 2}[len(segment)%4]
	last := len(segment) - 1
	for bits := range 1 << spare {
		six := int(sixes[segment[last]])>>spare<<spare | bits
		list = append(list, segment[:last]+string(alphabet[six]))
	}
	return list
}

// writings are those of one segment that some decoder takes for the same bytes.
func writings(segment string) []string {
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(segment)
	padding := strings.Repeat("=", (4-len(segment)%4)%4)
	return slices.Concat(insertions(segment), spareBits(segment), []string{standard, segment + padding, standard + padding, segment + "="})
}

// A JWS whose segments have spare bits and characters of which the alphabets
// differ.
var (
	jwsHeader    = encode(`{"alg":"RS256","kid":"??>>"}`)
	jwsPayload   = encode(`{"sub":"??>>~~","jti":"1"}` + "\n")
	jwsSignature = encode("\xff\xfe\xfd signature")
	jws          = jwsHeader + "." + jwsPayload + "." + jwsSignature
)

func TestDisguisedJWS(t *testing.T) {
	want := Identify(jws).Key
	var disguises []string
	for _, header := range writings(jwsHeader) {
		disguises = append(disguises, header+"."+jwsPayload+"."+jwsSignature)
	}
	for _, payload := range writings(jwsPayload) {
		disguises = append(disguises, jwsHeader+"."+payload+"."+jwsSignature)
	}
	for _, signature := range append(writings(jwsSignature), "", encode("the twin"), jwsSignature+".", jwsSignature+".x.y.z") {
		disguises = append(disguises, jwsHeader+"."+jwsPayload+"."+signature)
	}
	disguises = append(disguises, insertions(jws)...)
	for _, presented := range disguises {
		if id := Identify(presented); id.Key != want || id.Form != JWS || id.Ambiguous {
			t.Errorf("%q is another token: %+v", presented, id)
		}
	}
}

// JSON serializations that one library or another takes for the token.
func jsonJWS(header, payload, signature string) map[string]string {
	entry := `{"protected":"` + header + `","signature":"` + signature + `"}`
	decoy := `{"protected":"` + encode(`{"alg":"none"}`) + `","signature":""}`
	flat := `"payload":"` + payload + `","protected":"` + header + `","signature":"` + signature + `"`
	return map[string]string{
		"flattened":                   `{` + flat + `}`,
		"flattened, with more names":  `{"a":[{}],` + flat + `,"header":{"kid":"2"},"b":null}`,
		"flattened, escaped":          `{"\u0070ayload":"` + payload + `","protected":"` + header + `","signature":""}`,
		"flattened, trailing":         `{` + flat + `}} and more`,
		"flattened, no signatures":    `{` + flat + `,"signatures":[]}`,
		"general":                     `{"payload":"` + payload + `","signatures":[` + entry + `]}`,
		"general, the second":         `{"payload":"` + payload + `","signatures":[` + decoy + `,` + entry + `]}`,
		"general, the first":          `{"signatures":[` + entry + `,` + decoy + `],"payload":"` + payload + `"}`,
		"flattened and general":       `{` + flat + `,"signatures":[` + decoy + `]}`,
		"in capitals":                 strings.NewReplacer("payload", "PAYLOAD", "protected", "Protected").Replace(`{` + flat + `}`),
		"general, in capitals":        strings.NewReplacer("protected", "PROTECTED", "signatures", "\u017fignatures").Replace(`{"payload":"` + payload + `","signatures":[` + entry + `]}`),
		"a payload twice":             `{"payload":"e30",` + flat + `}`,
		"a payload twice, the other":  `{` + flat + `,"payload":"e30"}`,
		"a header twice":              `{"payload":"` + payload + `","signatures":[{"protected":"e30",` + entry[1:] + `]}`,
		"a JWE too":                   `{` + flat + `,"ciphertext":"e30","iv":"","tag":""}`,
		"too many signatures":         `{"payload":"` + payload + `","signatures":[` + strings.Repeat(decoy+",", maxSignatures) + entry + `]}`,
		"a signature of another type": `{"payload":"` + payload + `","signatures":[[],` + entry + `]}`,
		"signatures of another type":  `{` + flat + `,"signatures":"x"}`,
		"a header that is no text":    `{"payload":"` + payload + `","signatures":[{"protected":"{\"alg\":\"RS256\",\"kid\":\"??>>\"}","signature":"` + signature + `"}]}`,
	}
}

func TestDisguisedAsJSON(t *testing.T) {
	want := Identify(jws).Key
	for name, presented := range jsonJWS(jwsHeader, jwsPayload, jwsSignature) {
		if !known(presented, want) {
			t.Errorf("%s: %s is another token: %+v", name, presented, Identify(presented))
		}
		for _, presented := range insertions(presented) {
			if !known(presented, want) {
				t.Errorf("%s: %q is another token: %+v", name, presented, Identify(presented))
				break
			}
		}
	}
}

func TestAmbiguous(t *testing.T) {
	serialized := jsonJWS(jwsHeader, jwsPayload, jwsSignature)
	for _, name := range []string{"flattened", "flattened, with more names", "general", "general, the second", "in capitals"} {
		if id := Identify(serialized[name]); id.Ambiguous {
			t.Errorf("%s is ambiguous", name)
		}
	}
	for _, name := range []string{
		"a payload twice", "a payload twice, the other", "a header twice", "a JWE too", "too many signatures",
		"a signature of another type", "signatures of another type", "a header that is no text",
	} {
		if id := Identify(serialized[name]); !id.Ambiguous || len(id.Others) > maxSignatures {
			t.Errorf("%s is not ambiguous", name)
		}
	}
}

// A JWE whose segments have spare bits.
var jwe = strings.Join([]string{
	encode(`{"alg":"dir","enc":"A128GCM","x":"??>>"}`), "", encode("\xff\xfe\xfdinitial vec"), encode("\xff\xfe\xfdcipher"), encode("\xff\xfe\xfdtag of 16 byte"),
}, ".")

func TestDisguisedJWE(t *testing.T) {
	want := Identify(jwe).Key
	parts := strings.Split(jwe, ".")
	var disguises []string
	for i := range parts {
		if i == 1 {
			continue
		}
		for _, writing := range writings(parts[i]) {
			other := slices.Clone(parts)
			other[i] = writing
			disguises = append(disguises, strings.Join(other, "."))
		}
	}
	with := func(key, ciphertext, tag string) string {
		return strings.Join([]string{parts[0], key, parts[2], ciphertext, tag}, ".")
	}
	whole := "\xff\xfe\xfdcipher\xff\xfe\xfdtag of 16 byte"
	disguises = append(disguises, insertions(jwe)...)
	disguises = append(disguises,
		with(encode("garbage"), parts[3], parts[4]),
		with("", encode(whole[:1]), encode(whole[1:])),
		with("", encode(whole), ""),
		jwe+".more",
		`{"protected":"`+parts[0]+`","iv":"`+parts[2]+`","ciphertext":"`+parts[3]+`","tag":"`+parts[4]+`"}`,
		"\u00a0{\u00a0\"protec ted\":\""+parts[0]+`","iv":"`+parts[2]+`","recipients":[{"encrypted_key":"eA"}],"ciphertext":"`+parts[3]+`","tag":"`+parts[4]+`"}`,
		`{"PROTECTED":"`+parts[0]+`","IV":"`+parts[2]+`","Ciphertext":"`+parts[3]+`","tag":"`+parts[4]+`"}`,
		`{"protected":"`+parts[0]+`","iv":"`+parts[2]+`","ciphertext":"","ciphertext":"`+parts[3]+`","tag":"`+parts[4]+`"}`,
	)
	for _, presented := range disguises {
		if !known(presented, want) {
			t.Errorf("%q is another token: %+v", presented, Identify(presented))
		}
	}
}

// Tokens that differ in what is signed or encrypted are different tokens.
func TestDifferentTokensDiffer(t *testing.T) {
	header, payload := `{"alg":"RS256"}`, `{"jti":"1"}`
	jweOf := func(header, iv, ciphertext, tag string) string {
		return strings.Join([]string{encode(header), "", encode(iv), encode(ciphertext), encode(tag)}, ".")
	}
	dir := `{"alg":"dir","enc":"A128GCM"}`
	seen := make(map[revocation.Key]string)
	for _, token := range []string{
		encode(header) + "." + encode(payload) + ".c2ln",
		encode(header+" ") + "." + encode(payload) + ".c2ln",
		encode(header) + "." + encode(payload+" ") + ".c2ln",
		encode(header) + "." + encode(`{"jti":"2"}`) + ".c2ln",
		encode(header) + "." + encode(`{"jti":"1"`) + ".c2ln",
		encode(header) + ".." + encode(payload),
		encode(payload) + "." + encode(header) + ".c2ln",
		jweOf(dir, "iv", "text", "tag"),
		jweOf(dir, "iv", "texu", "tag"),
		jweOf(dir, "iv", "text", "tah"),
		jweOf(dir, "iw", "text", "tag"),
		jweOf(dir+" ", "iv", "text", "tag"),
		jweOf(dir, "ivt", "ext", "tag"),
		jweOf(dir, "i", "vtext", "tag"),
	} {
		key := Identify(token).Key
		if other, ok := seen[key]; ok {
			t.Errorf("%s and %s are the same", token, other)
		}
		seen[key] = token
	}
}
