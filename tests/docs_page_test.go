package tests

import (
	"bufio"
	"os"
	"strings"
	"testing"
)

// docSection is what stands under a heading of a page: its code blocks in their
// order.
type docSection struct {
	heading string
	blocks  []docBlock
}

type docBlock struct {
	language string
	text     string
	line     int
}

// readDoc reads a page of Markdown. A block in a language that no test knows
// how to run is an error.
func readDoc(t *testing.T, path string, languages ...string) (sections []docSection) {
	t.Helper()
	page, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = page.Close() }()
	known := map[string]bool{}
	for _, language := range languages {
		known[language] = true
	}
	sections = []docSection{{}}
	var block *docBlock
	scanner := bufio.NewScanner(page)
	for line := 1; scanner.Scan(); line++ {
		text, here := scanner.Text(), &sections[len(sections)-1]
		language, fence := strings.CutPrefix(text, "```")
		switch {
		case fence && block == nil:
			if block = new(docBlock); !known[language] {
				t.Errorf("%s:%d: a block in %q, which no test runs", path, line, language)
			}
			block.language, block.line = language, line
		case fence:
			here.blocks, block = append(here.blocks, *block), nil
		case block != nil:
			block.text += text + "\n"
		case strings.HasPrefix(text, "#"):
			sections = append(sections, docSection{heading: strings.TrimLeft(text, "# ")})
		}
	}
	if err := scanner.Err(); err != nil || block != nil {
		t.Fatalf("%s cannot be read: %v", path, err)
	}
	return sections
}

// of are the blocks in a language.
func (s *docSection) of(language string) (list []docBlock) {
	for _, block := range s.blocks {
		if block.language == language {
			list = append(list, block)
		}
	}
	return list
}

// newPageCaddy prepares a Caddy before an upstream, and puts its addresses into the
// place of those on the pages.
func newPageCaddy(t *testing.T) (c *caddy, texts *strings.Replacer) {
	t.Helper()
	up := newUpstream(t)
	c = newCaddy(t, t.TempDir(), up)
	site := strings.TrimPrefix(c.url, "http://")
	return c, strings.NewReplacer("localhost:2019", c.admin, "localhost:8080", site, "localhost:9000", up.address)
}
