package tests

import (
	"bytes"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// witness is what a Caddy said and wrote beside its logs, and what it was told.
type witness struct {
	mu sync.Mutex
	// texts are its Caddyfiles. What a user writes there in plain stands in what
	// Caddy makes of it: its saved configuration and what its admin endpoint tells
	// of the configuration.
	texts []byte
	// answers are those of its admin endpoint, by what was asked.
	answers map[string][]byte
	// own are the files that the test had made before Caddy ran.
	own map[string]bool
	// served says whether it ever ran, and hasAdmin whether it then had an admin
	// endpoint at ADMIN.
	served, hasAdmin bool
	// leaking is told of what is found, where a test wants it to be; otherwise that
	// fails the test.
	leaking func(leak)
}

// leak is a secret where none may be.
type leak struct {
	place  string
	secret string
	where  string // what stands around it
}

// atMost is how many leaks of one place are told.
const atMost = 20

// adminPaths are those that every Caddy is asked for when its test ends, and
// mayFail those of them that need a denylist, or one whose store has not been
// broken by the test.
var (
	adminPaths = []string{
		"/config/", "/metrics", "/reverse_proxy/upstreams", "/debug/vars", "/debug/pprof/goroutine?debug=2",
		"/token_revocation/metadata",
	}
	mayFail = []string{
		"/token_revocation/records", "/token_revocation/export", "/token_revocation/stats", "/token_revocation/sync",
	}
)

// given is a Caddyfile that the Caddy is to run with.
func (c *caddy) given(caddyfile string) string {
	c.t.Helper()
	if c.asItStands == "" {
		caddyfile = loud(c.t, caddyfile, c.sampled != "")
	}
	text := c.names.Replace(caddyfile)
	c.configured(text)
	c.hasAdmin = strings.Contains(text, "admin "+c.admin)
	return caddyfile
}

// configured notes the text of a configuration.
func (c *caddy) configured(text string) {
	confidential.caddyfile(text)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.texts = append(append(c.texts, text...), '\n')
}

// before notes which files are there before Caddy writes any.
func (c *caddy) before() {
	c.t.Helper()
	if c.own != nil {
		return
	}
	c.own = map[string]bool{}
	c.eachFile(func(path string) error {
		c.own[path] = true
		return nil
	})
}

func (c *caddy) eachFile(do func(path string) error) {
	c.t.Helper()
	err := filepath.WalkDir(c.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		return do(path)
	})
	if err != nil {
		c.t.Errorf("looking at what Caddy wrote: %v", err)
	}
}

// hear keeps an answer of the admin endpoint, or what a command printed that asked
// it.
func (c *caddy) hear(request string, answer []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answers == nil {
		c.answers = map[string][]byte{}
	}
	if len(c.answers[request]) < overheardLimit {
		c.answers[request] = append(append(c.answers[request], answer...), '\n')
	}
}

// ask asks the admin endpoint of a Caddy that runs for all that it tells.
func (c *caddy) ask() {
	c.t.Helper()
	select {
	case <-c.ended:
		return
	default:
	}
	if c.cmd == nil || !c.served || !c.hasAdmin || c.logs.say("shutting down apps") {
		return
	}
	// The endpoint of a configuration before may have accepted a connection as it ended.
	client := &http.Client{Transport: persistent{&http.Transport{DisableKeepAlives: true}}, Timeout: time.Minute}
	for _, path := range slices.Concat(adminPaths, mayFail) {
		response, err := client.Get("http://" + c.admin + path)
		if err != nil {
			c.t.Errorf("asking the admin endpoint: %v", err)
			return
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if (err != nil || response.StatusCode != http.StatusOK) && !slices.Contains(mayFail, path) {
			c.t.Errorf("%s: %s, %v", path, response.Status, err)
		}
		c.hear("GET "+path, body)
	}
}

// keepsSecrets looks through everything that a Caddy that has ended said and
// wrote, for every secret of every test so far: its logs, what its admin endpoint
// answered to the test and in the end, and its files, but for those of the test's
// own. What the user wrote in plain into the Caddyfile may stand in what Caddy
// repeats of the configuration, and nowhere else.
func (c *caddy) keepsSecrets() {
	c.t.Helper()
	tell := c.leaking
	if tell == nil {
		tell = func(l leak) { c.t.Errorf("%s shows the secret %.100q:\n%s", l.place, l.secret, l.where) }
	}
	inPlain := map[string]bool{}
	for _, f := range confidential.in(c.texts) {
		inPlain[f.secret] = true
	}
	look := func(place string, text []byte, repeatsConfiguration bool) {
		told := 0
		for _, f := range confidential.in(text) {
			if told < atMost && !(repeatsConfiguration && inPlain[f.secret]) {
				told++
				tell(leak{place, f.secret, around(text, f.at)})
			}
		}
	}
	c.logs.mu.Lock()
	log := c.logs.b.Bytes()
	c.logs.mu.Unlock()
	look("the log", log, false)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, request := range slices.Sorted(maps.Keys(c.answers)) {
		_, path, _ := strings.Cut(request, " ")
		look("the answer to "+request, c.answers[request], configures(path))
	}
	files := 0
	c.eachFile(func(path string) error {
		if c.own[path] || filepath.Base(path) == "Caddyfile" {
			return nil
		}
		b, err := os.ReadFile(path)
		files++
		look(path, b, filepath.Base(path) == "autosave.json")
		return err
	})
	if c.served && (len(log) == 0 || files == 0) {
		c.t.Errorf("nothing was looked into: %d bytes of logs, %d files", len(log), files)
	}
}

// around is what stands around a place in a text: what is left of it in its line,
// and some more.
func around(text []byte, at int) string {
	from := max(0, bytes.LastIndexByte(text[:at], '\n')+1, at-1500)
	return strings.ToValidUTF8(string(text[from:min(len(text), at+200)]), "?")
}
