package tests

import (
	"bytes"
	"encoding/base64"
	endian "encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
	"sync"
	"unicode"
)

// The search for what must not leave: fast enough to look through every byte of
// every log of all tests for every secret of all tests.

const (
	// shortest is the length of a secret that is looked for. One that is shorter
	// stands in too many innocent words.
	shortest = 8
	// telling is how much of a longer one must not stand anywhere.
	telling = 16
	// stride is how far apart the pieces begin that are looked for, so that every
	// run of telling + stride - 1 bytes is found, wherever it was cut off.
	stride = 8
)

// secrets is a set of texts that can be found in others, in every writing.
type secrets struct {
	mu   sync.RWMutex
	list []string       // as they were added
	seen map[string]int // by text, its place in the list
	// Pieces of the longer ones, by whose they are first, and the whole of the
	// shorter ones by how these begin.
	pieces map[[telling]byte]int
	whole  map[[shortest]byte][]writing
	// maybe has a bit for the beginning of each piece, by its hash. Nearly every
	// byte of a log needs no more than a look at it.
	maybe []uint64
}

type writing struct {
	text   string
	secret int
	plain  bool // it counts only where it is not a part of a longer word
}

const maybeBits = 24

func newSecrets() *secrets {
	return &secrets{
		seen: map[string]int{}, pieces: map[[telling]byte]int{}, whole: map[[shortest]byte][]writing{},
		maybe: make([]uint64, 1<<maybeBits/64),
	}
}

// add adds a secret and returns it. One that is too plain is left out.
func (s *secrets) add(secret string) string {
	if tooPlain(secret) {
		return secret
	}
	s.mu.RLock()
	_, known := s.seen[secret]
	s.mu.RUnlock()
	if known {
		return secret
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.seen[secret]; known {
		return secret
	}
	n := len(s.list)
	s.list, s.seen[secret] = append(s.list, secret), n
	for _, text := range writings(secret) {
		s.index(text, n)
	}
	return secret
}

func (s *secrets) index(text string, n int) {
	if len(text) < telling {
		start := [shortest]byte([]byte(text))
		s.whole[start] = append(s.whole[start], writing{text, n, text == s.list[n]})
		s.mark(start)
		return
	}
	for i := 0; ; i += stride {
		i = min(i, len(text)-telling)
		piece := [telling]byte([]byte(text[i:]))
		if _, taken := s.pieces[piece]; !taken && variety(piece[:]) >= 6 {
			s.pieces[piece] = n
			s.mark([shortest]byte(piece[:]))
		}
		if i == len(text)-telling {
			return
		}
	}
}

// tooPlain says whether a secret could stand anywhere without being told: one that
// is short, or a word, or the header of a JWT.
func tooPlain(secret string) bool {
	if strings.HasPrefix(secret, "eyJ") && !strings.Contains(secret, ".") {
		return true
	}
	isWord := strings.IndexFunc(secret, func(r rune) bool { return !unicode.IsLetter(r) }) < 0
	return len(secret) < shortest || len(secret) < telling && isWord
}

// variety is how many different bytes there are.
func variety(b []byte) (n int) {
	for i, c := range b {
		if bytes.IndexByte(b[:i], c) < 0 {
			n++
		}
	}
	return n
}

func (s *secrets) mark(start [shortest]byte) {
	h := hashed(start[:])
	s.maybe[h/64] |= 1 << (h % 64)
}

func hashed(b []byte) uint64 {
	return endian.LittleEndian.Uint64(b) * 0x9E3779B97F4A7C15 >> (64 - maybeBits)
}

// found is a secret in a text, and where it is, or a piece of it.
type found struct {
	secret string
	at     int
}

// in finds each secret that stands in a text, once.
func (s *secrets) in(text []byte) (list []found) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	already := map[int]bool{}
	add := func(n, at int) {
		if !already[n] {
			already[n] = true
			list = append(list, found{s.list[n], at})
		}
	}
	for i := 0; i+shortest <= len(text); i++ {
		h := hashed(text[i:])
		if s.maybe[h/64]&(1<<(h%64)) == 0 {
			continue
		}
		rest := text[i:]
		for _, w := range s.whole[[shortest]byte(rest)] {
			if bytes.HasPrefix(rest, []byte(w.text)) && !(w.plain && partOfWord(text, i, i+len(w.text))) {
				add(w.secret, i)
			}
		}
		if len(rest) >= telling {
			if n, ok := s.pieces[[telling]byte(rest)]; ok {
				add(n, i)
			}
		}
	}
	return list
}

// partOfWord says whether letters or digits go on beside a part of a text.
func partOfWord(text []byte, from, to int) bool {
	goesOn := func(at int) bool {
		return at >= 0 && at < len(text) && (unicode.IsLetter(rune(text[at])) || unicode.IsDigit(rune(text[at])))
	}
	return goesOn(from-1) || goesOn(to)
}

// writings are those in which a secret could show up.
func writings(secret string) (list []string) {
	secret = withoutJOSEHeader(secret)
	add := func(text string) {
		if len(text) < shortest {
			return
		}
		for _, other := range list {
			if text == other {
				return
			}
		}
		list = append(list, text)
	}
	add(secret)
	add(url.QueryEscape(secret))
	add(url.PathEscape(secret))
	add(hex.EncodeToString([]byte(secret)))
	quoted, _ := json.Marshal(secret)
	add(strings.Trim(string(quoted), `"`))
	// Within base64, a text stands in one of three ways, of which its neighbours
	// change the ends.
	for _, text := range []string{secret, url.QueryEscape(secret)} { // the latter as in Basic
		for shift := range 3 {
			padded := []byte(strings.Repeat("x", shift) + text)
			padded = padded[:len(padded)/3*3]
			for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
				encoded := encoding.EncodeToString(padded)
				if shift > 0 {
					encoded = encoded[4:]
				}
				add(encoded)
			}
		}
	}
	return list
}

// withoutJOSEHeader is what of a JWT or JWE is its own: it shares its header with
// many others, which do not mind.
func withoutJOSEHeader(secret string) string {
	header, rest, ok := strings.Cut(secret, ".")
	if !ok || !strings.HasPrefix(header, "eyJ") {
		return secret
	}
	return rest
}
