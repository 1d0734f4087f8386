package cli

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// target is what a request to the admin API is about.
type target struct {
	Token  string `json:"token,omitempty"`
	Kind   string `json:"kind,omitempty"`
	Issuer string `json:"issuer,omitempty"`
	Value  string `json:"value,omitempty"`
	ID     string `json:"id,omitempty"`
}

// ruleFlags are the flags of rules with a value, each named after its kind but the
// last.
var ruleFlags = []struct{ flag, kind, what string }{
	{"jti", "jti", "The token with this claim jti"},
	{"session", "session", "All tokens of the session with this claim sid"},
	{"subject", "subject", "All tokens of this subject (sub)"},
	{"client", "client", "All tokens that were issued to this client (client_id)"},
	{"key", "key", "All tokens that say that this key has signed them (kid)"},
}

func targetFlags(flags *pflag.FlagSet) {
	flags.String("token-file", "", "File with tokens, one a line; - is standard input, as is the default")
	for _, f := range ruleFlags {
		flags.String(f.flag, "", f.what)
	}
	flags.String("issuer", "", "The issuer (iss) to which the value of another flag belongs; alone: all tokens of this issuer")
	flags.String("id", "", "The record with this id, such as subject:3c59dc048e88")
}

// given are the flags among those named that are given. An empty value is an
// error: it may be that of a variable of a script that was never set, and
// what was meant to be about one subject must not be about all. So is a token,
// which would come into logs and records.
func (c *call) given(names ...string) (list []string, err error) {
	for _, name := range names {
		if !c.flags.Changed(name) {
			continue
		}
		switch value := c.text(name); {
		case value == "":
			return nil, usage("the value of --%s is empty", name)
		case likeToken(value):
			return nil, usage("the value of --%s looks like a token; %w", name, errArgument)
		}
		list = append(list, name)
	}
	return list, nil
}

// target is the rule or record that the flags name; false if they name tokens.
func (c *call) target() (t target, named bool, err error) {
	names := []string{"token-file", "id"}
	for _, f := range ruleFlags {
		names = append(names, f.flag)
	}
	what, err := c.given(names...)
	if err != nil {
		return t, false, err
	}
	issuer, err := c.given("issuer")
	switch {
	case err != nil:
		return t, false, err
	case len(what) > 1:
		return t, false, usage("--%s and --%s cannot be combined", what[0], what[1])
	case len(what) == 1 && what[0] == "id":
		t.ID = c.text("id")
	case len(what) == 1 && what[0] != "token-file":
		i := slices.IndexFunc(ruleFlags, func(f struct{ flag, kind, what string }) bool { return f.flag == what[0] })
		t.Kind, t.Value, t.Issuer = ruleFlags[i].kind, c.text(what[0]), c.text("issuer")
		if len(issuer) == 0 {
			return t, false, usage("--%s needs --issuer: a rule is about the tokens of one issuer", what[0])
		}
		return t, true, nil
	case len(what) == 0 && len(issuer) == 1:
		t.Kind, t.Issuer = "issuer", c.text("issuer")
		return t, true, nil
	}
	if len(issuer) == 1 {
		return t, false, usage("--%s and --issuer cannot be combined", what[0])
	}
	return t, t.ID != "", nil
}

// likeToken says whether a text looks like a JWT, or the beginning of one.
func likeToken(text string) bool { return len(text) >= 16 && strings.HasPrefix(text, "eyJ") }

// maxToken is how long a line with a token may be; more does not fit into a request
// to the admin API.
const maxToken = 64 << 10

// each calls f with the target that the flags name, or with each token that is
// read, and the number of its line.
func (c *call) each(f func(line int, t target) error) error {
	t, named, err := c.target()
	if err != nil {
		return err
	}
	if named {
		return f(0, t)
	}
	in, done, err := c.tokens()
	if err != nil {
		return err
	}
	defer done()
	lines := lineReader{in: bufio.NewReaderSize(in, maxToken)}
	first, number, err := lines.token()
	if err == io.EOF {
		return usage("there is no token in what was read")
	}
	if err != nil {
		return err
	}
	next, nextNumber, err := lines.token()
	if err == io.EOF {
		return f(0, target{Token: first}) // which needs no number
	}
	if failed := f(number, target{Token: first}); failed != nil {
		return failed
	}
	for ; err == nil; next, nextNumber, err = lines.token() {
		if err := f(nextNumber, target{Token: next}); err != nil {
			return err
		}
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// tokens is what tokens are read from.
func (c *call) tokens() (in io.Reader, done func(), err error) {
	path := c.text("token-file")
	if path != "" && path != "-" {
		file, err := open(path)
		if err != nil {
			return nil, nil, usage("opening the file with tokens: %w", err)
		}
		return file, func() { _ = file.Close() }, nil
	}
	if file, is := c.in.(*os.File); is && path == "" && term.IsTerminal(int(file.Fd())) {
		return nil, nil, usage("nothing is named: give tokens on standard input or with --token-file, a rule, or --id")
	}
	return c.in, func() {}, nil
}

// open opens a file, whose name is not repeated: it may be a token by mistake.
func open(path string) (*os.File, error) {
	file, err := os.Open(path)
	return file, nameless(err)
}

func nameless(err error) error {
	var named *fs.PathError
	if errors.As(err, &named) {
		return named.Err
	}
	return err
}
