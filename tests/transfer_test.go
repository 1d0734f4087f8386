package tests

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

const inLines = "application/x-ndjson"

// importBody sends a body to the import of the admin API.
func (a admin) importBody(t *testing.T, query, contentType, body string) answer {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, "http://"+a.c.admin+"/token_revocation/import"+query, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	return doWith(t, a.client, request)
}

// transferAnswer is what the import answers.
type transferAnswer struct {
	Error                string
	Lines, Stored, Ended int
	Bad                  []struct {
		Line  int
		Error string
	}
}

func (a admin) imports(t *testing.T, status int, query, body string) (got transferAnswer) {
	t.Helper()
	said := a.importBody(t, query, inLines, body)
	if err := json.Unmarshal([]byte(said.body), &got); err != nil || said.status != status || said.header.Get("Content-Type") != inJSON {
		t.Errorf("an import: %d %v %s, want %d", said.status, said.header, said.body, status)
	}
	return got
}

func TestImport(t *testing.T) {
	t.Parallel()
	c := start(t, siteWith(), newUpstream(t))
	a := newAdmin(t, c)
	lines := func(list ...string) string { return strings.Join(list, "\n") }
	if got := a.imports(t, http.StatusOK, "", ""); got.Lines != 0 {
		t.Errorf("%+v", got)
	}
	good := lines(`{"token":"one"}`, ``, ` {"token":"two","expires":"in 1h"} `+"\r", `{"token":"late","expires":"1s ago"}`)
	if got := a.imports(t, http.StatusOK, "?by=alice", good); got.Lines != 4 || got.Stored != 2 || got.Ended != 1 || got.Bad != nil {
		t.Errorf("%+v", got)
	}
	c.wants(t, http.StatusUnauthorized, "one", "two")
	c.wants(t, http.StatusOK, "late")
	got := a.imports(t, http.StatusBadRequest, "", lines(`{"token":"three"}`, `{"token":"four"`, `{"token":"five"}`))
	if got.Lines != 1 || got.Stored != 1 || len(got.Bad) != 1 || got.Bad[0].Line != 2 || got.Error != "line 2: "+got.Bad[0].Error {
		t.Errorf("%+v", got)
	}
	c.wants(t, http.StatusUnauthorized, "three")
	c.wants(t, http.StatusOK, "four", "five")
	got = a.imports(t, http.StatusOK, "?keep_going=true", lines(`x`, `{"token":"six"}`, `y`))
	if got.Lines != 3 || got.Stored != 1 || len(got.Bad) != 2 || got.Bad[0].Line != 1 || got.Bad[1].Line != 3 {
		t.Errorf("%+v", got)
	}
	c.wants(t, http.StatusUnauthorized, "six")

	// Each token of many revokes, also where the commits are several, and a token
	// that has several signatures.
	var many strings.Builder
	for i := range 4321 {
		_, _ = fmt.Fprintf(&many, `{"token":"many-%d"}`+"\n", i)
	}
	if got := a.imports(t, http.StatusOK, "", many.String()); got.Stored != 4321 {
		t.Errorf("%+v", got)
	}
	c.wants(t, http.StatusUnauthorized, "many-0", "many-1999", "many-2000", "many-4320")
	token := jwt(fmt.Sprintf(`{"iss":%q,"sub":"bob"}`, adminIssuer))
	a.imports(t, http.StatusOK, "", aboutRule("subject", "bob", `"dry_run":true`))
	c.wants(t, http.StatusOK, token)
	a.imports(t, http.StatusOK, "", aboutRule("subject", "bob"))
	c.wants(t, http.StatusUnauthorized, token)
}

func TestImportRefuses(t *testing.T) {
	t.Parallel()
	c := start(t, siteWith(), newUpstream(t))
	a := newAdmin(t, c)
	line := `{"token":"refused"}` + "\n"
	for name, wrong := range map[string]struct {
		status                   int
		query, contentType, body string
	}{
		"another type":      {http.StatusUnsupportedMediaType, "", inJSON, line},
		"no type":           {http.StatusUnsupportedMediaType, "", "", line},
		"a strange query":   {http.StatusBadRequest, "?to=1", inLines, line},
		"a query twice":     {http.StatusBadRequest, "?by=a&by=b", inLines, line},
		"no boolean":        {http.StatusBadRequest, "?keep_going=perhaps", inLines, line},
		"a bad name":        {http.StatusBadRequest, "?by=%00", inLines, line},
		"too many bytes":    {http.StatusRequestEntityTooLarge, "", inLines, line + strings.Repeat(" ", 16<<20)},
		"too long a line":   {http.StatusBadRequest, "", inLines, `{"token":"` + strings.Repeat("x", 64<<10) + `"}`},
		"not a text at all": {http.StatusBadRequest, "", inLines, "\x00\xff"},
	} {
		if got := a.importBody(t, wrong.query, wrong.contentType, wrong.body); got.status != wrong.status || !strings.HasPrefix(got.body, `{"error":"`) {
			t.Errorf("%s: %d %s, want %d", name, got.status, tail(got.body, 300), wrong.status)
		}
	}
	c.wants(t, http.StatusOK, "refused")
	if got := a.importBody(t, "", inLines, line+strings.Repeat("\n", 50_000)); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("too many lines: %d %s", got.status, got.body)
	}
	c.wants(t, http.StatusUnauthorized, "refused") // what came before is done
	for method, path := range map[string]string{http.MethodGet: "import", http.MethodPost: "export", http.MethodDelete: "export"} {
		a.wants(t, http.StatusMethodNotAllowed, "use ", method, path, "")
	}
	for path, want := range map[string]string{
		"export?kind=refused": "kind", "export?after=token:00": "after", "export?to=1": "nothing but", "export?kind=key&kind=jti": "twice",
	} {
		a.wants(t, http.StatusBadRequest, want, http.MethodGet, path, "")
	}
	if err := os.Truncate(c.names.Replace("STORE"), 4096); err != nil {
		t.Fatal(err)
	}
	if got := a.importBody(t, "", inLines, line); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("without a store: %d %v %s", got.status, got.header, got.body)
	}
	a.wants(t, http.StatusServiceUnavailable, "", http.MethodGet, "export", "")
	text, err := a.ask(http.MethodHead, "export", "")
	if err != nil || text.body != "" {
		t.Errorf("HEAD: %+v %v", text, err)
	}
}

// Imports at once share what there is: none is lost.
func TestImportsAtOnce(t *testing.T) {
	t.Parallel()
	c := start(t, siteWith(), newUpstream(t))
	a := newAdmin(t, c)
	var wg sync.WaitGroup
	for n := range 6 {
		wg.Go(func() {
			var lines strings.Builder
			for i := range 3000 {
				_, _ = fmt.Fprintf(&lines, `{"token":"import-%d-%d"}`+"\n", n%3, i)
			}
			for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); {
				got := a.importBody(t, "", inLines, lines.String())
				if got.status == http.StatusOK {
					return
				}
				if got.status != http.StatusServiceUnavailable {
					break
				}
			}
			t.Errorf("import %d does not succeed", n)
		})
	}
	wg.Wait()
	c.wants(t, http.StatusUnauthorized, "import-0-0", "import-1-1500", "import-2-2999")
	var stats struct{ Total int }
	a.wants(t, http.StatusOK, &stats, http.MethodGet, "stats", "")
	if stats.Total != 9000 {
		t.Errorf("%d records", stats.Total)
	}
}

// An export whose store fails halfway does not look like one that is whole.
func TestExportIsCutOff(t *testing.T) {
	t.Parallel()
	c := start(t, siteWith(), nil)
	lines, ids := transferLines(60_000)
	c.cli(t, cliDone, "", "import", cliFile(t, "lines", strings.Join(lines, "")))
	response, err := http.Get("http://" + c.admin + "/token_revocation/export")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body := bufio.NewReader(response.Body)
	first, err := body.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(c.names.Replace("STORE"), 4096); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(body)
	if n := strings.Count(first+string(rest), "\n"); !errors.Is(err, io.ErrUnexpectedEOF) || n >= len(ids) {
		t.Errorf("it ends with %v after %d of %d records", err, n, len(ids))
	}
}
