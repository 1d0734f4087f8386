package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// gateway is a Caddy that runs.
type gateway struct{ site string }

var client = &http.Client{
	Transport: &http.Transport{MaxIdleConnsPerHost: 1024},
	Timeout:   30 * time.Second,
}

// revoke revokes a token; nil is the success answer.
func (g *gateway) revoke(token string) error {
	form := url.Values{"token": {token}, "client_id": {"backend"}, "client_secret": {"backend-secret"}}
	r, err := http.NewRequest(http.MethodPost, g.site+"/token/revocation", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, err := do(r)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("a revocation is answered with %d", status)
	}
	return err
}

// ask makes a request with a token.
func (g *gateway) ask(token string) (status int, err error) {
	r, err := http.NewRequest(http.MethodGet, g.site+"/", nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return do(r)
}

func do(r *http.Request) (status int, err error) {
	answer, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}

// refusedAfter asks until a token is refused, and returns how long after a time the
// answer came.
func (g *gateway) refusedAfter(since time.Time, token string) (time.Duration, error) {
	for time.Since(since) < patience {
		switch status, err := g.ask(token); {
		case err != nil:
			return 0, err
		case status == http.StatusUnauthorized:
			return time.Since(since), nil
		case status != http.StatusOK:
			return 0, fmt.Errorf("a token is answered with %d", status)
		}
		time.Sleep(200 * time.Microsecond)
	}
	return 0, fmt.Errorf("a revoked token still passes after %s", patience)
}

// spread revokes at all gateways in turn, at a rate, each at its time, also if the one
// before still waits; and asks the others from the success answer on.
func spread(gateways []*gateway, rate int, lasts time.Duration) error {
	ticks := time.NewTicker(time.Second / time.Duration(rate))
	defer ticks.Stop()
	var mu sync.Mutex
	var refused, answered []time.Duration
	var failed []error
	one := func(at int) error {
		token, began := rand.Text(), time.Now()
		if err := gateways[at].revoke(token); err != nil {
			return err
		}
		success := time.Now()
		took := make(chan time.Duration, len(gateways))
		fails := make(chan error, len(gateways))
		for i, other := range gateways {
			if i == at {
				continue
			}
			go func() {
				after, err := other.refusedAfter(success, token)
				took <- after
				fails <- err
			}()
		}
		var slowest time.Duration
		var err error
		for range len(gateways) - 1 {
			slowest, err = max(slowest, <-took), errors.Join(err, <-fails)
		}
		mu.Lock()
		defer mu.Unlock()
		refused, answered = append(refused, slowest), append(answered, success.Sub(began))
		return err
	}
	var wg sync.WaitGroup
	end := time.Now().Add(lasts)
	for i := 0; time.Now().Before(end); i++ {
		<-ticks.C
		wg.Go(func() {
			if err := one(i % len(gateways)); err != nil {
				mu.Lock()
				failed = append(failed, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	fmt.Printf("spread, at %.0f revocations a second: from the success answer until all others refuse %s\n",
		float64(len(refused))/lasts.Seconds(), quantiles(refused))
	fmt.Printf("  the success answer took %s\n", quantiles(answered))
	return errors.Join(failed...)
}

// throughput has callers revoke through the first gateway, each one token after the
// other, and wants the last of each refused at all.
func throughput(gateways []*gateway, callers int, lasts time.Duration) error {
	var count atomic.Int64
	var mu sync.Mutex
	var took []time.Duration
	var failed []error
	var wg sync.WaitGroup
	began := time.Now()
	for range callers {
		wg.Go(func() {
			var token string
			var mine []time.Duration
			var err error
			for err == nil && time.Since(began) < lasts {
				token = rand.Text()
				asked := time.Now()
				if err = gateways[0].revoke(token); err == nil {
					count.Add(1)
					mine = append(mine, time.Since(asked))
				}
			}
			for _, g := range gateways {
				if err == nil {
					_, err = g.refusedAfter(time.Now(), token)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			took, failed = append(took, mine...), append(failed, err)
		})
	}
	wg.Wait()
	fmt.Printf("throughput: %d callers get %.0f revocations a second acknowledged through one gateway; each took %s\n",
		callers, float64(count.Load())/lasts.Seconds(), quantiles(took))
	return errors.Join(failed...)
}
