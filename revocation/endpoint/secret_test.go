package endpoint

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

const (
	bcryptHash = "$2a$04$JKoNCbTenS5oxdgphTXe../NxPGstIva58qg6nJSYBwv1NU8UDGvq" // of bcryptFull
	argonHash  = "$argon2id$v=19$m=64,t=1,p=1$cprC3sC5eLD4ahnSjHNYoQ$wGK7XIY+f4Sbgv/KZP7oyzFrdacFyNaj/acnZA6Tw6Y"
)

var bcryptFull = strings.Repeat("0123456789ab", 6) // all 72 bytes that bcrypt looks at

func right(t *testing.T, s *Secret, guess string) bool {
	t.Helper()
	ok, err := s.isAny(context.Background(), []reading{{"id", guess}})
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func TestSecrets(t *testing.T) {
	plain, err := PlainSecret("secret")
	if err != nil {
		t.Fatal(err)
	}
	hashed, err := HashedSecret(bcryptHash)
	if err != nil {
		t.Fatal(err)
	}
	argon, err := HashedSecret(argonHash)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is remembered
		for _, test := range []struct {
			secret *Secret
			guess  string
			want   bool
		}{
			{plain, "secret", true},
			{plain, "Secret", false},
			{plain, "", false},
			{hashed, bcryptFull, true},
			{hashed, bcryptFull + "x", false}, // the same to bcrypt
			{hashed, bcryptFull[1:], false},
			{hashed, bcryptHash, false},
			{argon, "password", true},
			{argon, "passwore", false},
			{argon, "", false},
		} {
			if right(t, test.secret, test.guess) != test.want {
				t.Errorf("%q: not %v", test.guess, test.want)
			}
		}
	}
}

func TestSecretMistakes(t *testing.T) {
	if _, err := PlainSecret(""); err == nil {
		t.Error("an empty secret")
	}
	for _, hash := range []string{
		"", "secret", "$2a$04$short", "$2a$03" + bcryptHash[6:], "$2a$32" + bcryptHash[6:], "$2a$21" + bcryptHash[6:],
		"$argon2i$v=19$m=65536,t=1,p=2$c29tZXNhbHQ$RdescudvJCsgt3ub", "$argon2id$", "$argon2id$v=16$m=65536,t=1,p=2$c29tZXNhbHQ$RdescudvJCsgt3ub",
		"$argon2id$v=19$m=65536,t=0,p=2$c29tZXNhbHQ$RdescudvJCsgt3ub", "$argon2id$v=19$m=65536,t=1,p=0$c29tZXNhbHQ$RdescudvJCsgt3ub",
		"$argon2id$v=19$m=65536,t=65,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub", "$argon2id$v=19$m=1048577,t=1,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub",
		"$argon2id$v=19$m=65536,t=1,p=2$c29tZXNhbHQ$", "$argon2id$v=19$m=65536,t=1,p=2$!$!", "$argon2id$v=19$m=x,t=1,p=2$c29tZXNhbHQ$RdescudvJCsgt3ub",
	} {
		if _, err := HashedSecret(hash); err == nil {
			t.Errorf("%s is accepted", hash)
		}
	}
}

// Of many that come at once with the right secret, those that had to wait do
// not hash again.
func TestManyAtOnceHashOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var comparisons atomic.Int64
		waiting := make(chan struct{})
		s := newSecret(func(guess string) bool {
			comparisons.Add(1)
			<-waiting
			return guess == "right"
		})
		// All turns but one are taken.
		turns := cap(hashing)
		own := make(chan struct{}, turns)
		defer func(old chan struct{}) { hashing = old }(hashing)
		hashing = own
		for range turns - 1 {
			hashing <- struct{}{}
		}
		results := make(chan bool)
		for range 10 {
			go func() { results <- right(t, s, "right") }()
		}
		synctest.Wait()
		close(waiting)
		for range 10 {
			if !<-results {
				t.Error("the right secret is wrong")
			}
		}
		if n := comparisons.Load(); n != 1 {
			t.Errorf("%d comparisons", n)
		}
	})
}

// Whoever waits too long for a turn, or has gone, is told so: neither yes nor no.
func TestHashingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		defer func(old chan struct{}) { hashing = old }(hashing)
		hashing = make(chan struct{})
		s := newSecret(func(string) bool { t.Error("compared"); return true })
		if ok, err := s.isAny(t.Context(), []reading{{"id", "right"}}); ok || !errors.Is(err, errBusy) {
			t.Errorf("%v %v", ok, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if ok, err := s.isAny(ctx, []reading{{"id", "right"}}); ok || !errors.Is(err, context.Canceled) {
			t.Errorf("%v %v", ok, err)
		}
	})
}
