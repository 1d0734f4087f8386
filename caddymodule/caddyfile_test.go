package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	_ "github.com/caddy-token-revocation/caddy-token-revocation/caddymodule"
)

// adapt turns a Caddyfile into the JSON of the app and of the first handler.
func adapt(t *testing.T, caddyfile string) (app, handler string, err error) {
	t.Helper()
	out, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return "", "", err
	}
	for _, w := range warnings {
		if !strings.Contains(w.Message, "not formatted") {
			t.Errorf("warning: %s", w)
		}
	}
	var config struct {
		Apps struct {
			App  json.RawMessage `json:"token_revocation"`
			HTTP struct {
				Servers map[string]struct {
					Routes []struct {
						Handle []json.RawMessage `json:"handle"`
					} `json:"routes"`
				} `json:"servers"`
			} `json:"http"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(out, &config); err != nil {
		t.Fatal(err)
	}
	for _, server := range config.Apps.HTTP.Servers {
		for _, route := range server.Routes {
			for _, h := range route.Handle {
				handler = string(h)
			}
		}
	}
	return string(config.Apps.App), handler, nil
}

// global is a Caddyfile with lines in the global option, directive one with
// lines in the directive. A comment HERE marks the line that a mistake is in.
func global(lines string) string {
	return "{\n\ttoken_revocation {\n" + lines + "\n\t}\n}\n:8080 {\n\ttoken_revocation\n}\n"
}

func directive(lines string) string {
	return ":8080 {\n\ttoken_revocation {\n" + lines + "\n\t}\n}\n"
}

const (
	bcryptHash = "$2a$04$JKoNCbTenS5oxdgphTXe../NxPGstIva58qg6nJSYBwv1NU8UDGvq"
	argonHash  = "$argon2id$v=19$m=64,t=1,p=1$cprC3sC5eLD4ahnSjHNYoQ$wGK7XIY+f4Sbgv/KZP7oyzFrdacFyNaj/acnZA6Tw6Y"
)

func TestCaddyfileGlobalOption(t *testing.T) {
	for lines, want := range map[string]string{
		"":                                `{}`,
		"store bolt":                      `{"store":{"backend":"bolt"}}`,
		"store bolt /var/lib/d.db":        `{"store":{"backend":"bolt","path":"/var/lib/d.db"}}`,
		"store bolt {env.HOME}/d.db":      `{"store":{"backend":"bolt","path":"{env.HOME}/d.db"}}`,
		"cache 64MiB":                     `{"cache_size":67108864}`,
		"cache 32MB":                      `{"cache_size":32000000}`,
		"cache 1000000":                   `{"cache_size":1000000}`,
		"retain 48h":                      `{"retain":172800000000000}`,
		"retain 30d":                      `{"retain":2592000000000000}`,
		"leeway 90s":                      `{"leeway":90000000000}`,
		"leeway 0s":                       `{"leeway":0}`,
		"leeway 0":                        `{"leeway":0}`,
		"client a":                        `{"clients":[{"id":"a"}]}`,
		"client a {\n}":                   `{"clients":[{"id":"a"}]}`,
		"client a\nclient b":              `{"clients":[{"id":"a"},{"id":"b"}]}`,
		"client `a b` {\nsecret `x y`\n}": `{"clients":[{"id":"a b","secret":"x y"}]}`,
		"client a {\nauth none\norigin https://x.example http://localhost:3000 http://[::1]:3000 app://x {env.O}\n}": `{"clients":[{"id":"a","auth":["none"],"origins":["https://x.example","http://localhost:3000","http://[::1]:3000","app://x","{env.O}"]}]}`,
		"client a {\nauth client_secret_basic client_secret_post\nsecret {env.X}\n}":                                 `{"clients":[{"id":"a","auth":["client_secret_basic","client_secret_post"],"secret":"{env.X}"}]}`,
		"client a {\nsecret_hash " + bcryptHash + "\n}":                                                              `{"clients":[{"id":"a","secret_hash":"` + bcryptHash + `"}]}`,
		"client a {\nsecret_hash " + argonHash + "\n}":                                                               `{"clients":[{"id":"a","secret_hash":"` + argonHash + `"}]}`,
		"client a {\nauth client_secret_post\nsecret_hash {file./run/h}\n}\ncache 1MiB":                              `{"cache_size":1048576,"clients":[{"id":"a","auth":["client_secret_post"],"secret_hash":"{file./run/h}"}]}`,
	} {
		app, _, err := adapt(t, global(lines))
		if err != nil {
			t.Errorf("%s: %v", lines, err)
		} else if app != want {
			t.Errorf("%s:\n\t%s, want\n\t%s", lines, app, want)
		}
	}
	// Without braces, and without the option at all.
	if app, _, err := adapt(t, "{\n\ttoken_revocation\n}\n:8080 {\n\ttoken_revocation\n}\n"); err != nil || app != "{}" {
		t.Errorf("%s %v", app, err)
	}
	if app, _, err := adapt(t, ":8080 {\n\ttoken_revocation\n}\n"); err != nil || app != "" {
		t.Errorf("%s %v", app, err)
	}
}

func TestCaddyfileDirective(t *testing.T) {
	for lines, want := range map[string]string{
		"":                                   `{"handler":"token_revocation"}`,
		"endpoint /oauth2/revoke":            `{"endpoint":"/oauth2/revoke","handler":"token_revocation"}`,
		"endpoint off":                       `{"endpoint":"off","handler":"token_revocation"}`,
		"profile rfc7009":                    `{"handler":"token_revocation","profile":"rfc7009"}`,
		"revoke token":                       `{"handler":"token_revocation","revoke":"token"}`,
		"when_unavailable deny":              `{"handler":"token_revocation","when_unavailable":"deny"}`,
		"when_unavailable allow":             `{"handler":"token_revocation","when_unavailable":"allow"}`,
		"require_token":                      `{"handler":"token_revocation","require_token":true}`,
		`realm "the \"api\""`:                `{"handler":"token_revocation","realm":"the \"api\""}`,
		"token header X-Api-Token":           `{"handler":"token_revocation","tokens":[{"in":"header","name":"X-Api-Token"}]}`,
		"token header X-Api-Token Token Key": `{"handler":"token_revocation","tokens":[{"in":"header","name":"X-Api-Token","schemes":["Token","Key"]}]}`,
		"token header authorization Token":   `{"handler":"token_revocation","tokens":[{"in":"header","name":"authorization","schemes":["Token"]}]}`,
		"token query key":                    `{"handler":"token_revocation","tokens":[{"in":"query","name":"key"}]}`,
		"token cookie session":               `{"handler":"token_revocation","tokens":[{"in":"cookie","name":"session"}]}`,
		"token form access_token":            `{"handler":"token_revocation","tokens":[{"in":"form","name":"access_token"}]}`,
		"token form access_token 1MiB":       `{"handler":"token_revocation","tokens":[{"in":"form","max_size":1048576,"name":"access_token"}]}`,
		"token cookie a\ntoken cookie b":     `{"handler":"token_revocation","tokens":[{"in":"cookie","name":"a"},{"in":"cookie","name":"b"}]}`,
	} {
		_, handler, err := adapt(t, directive(lines))
		if err != nil {
			t.Errorf("%s: %v", lines, err)
		} else if handler != want {
			t.Errorf("%s:\n\t%s, want\n\t%s", lines, handler, want)
		}
	}
	// A matcher is not an option, and neither are imports.
	for _, text := range []string{
		":8080 {\n\ttoken_revocation /api/*\n}\n",
		":8080 {\n\ttoken_revocation * {\n\t\tendpoint off\n\t}\n}\n",
		":8080 {\n\t@m method GET\n\ttoken_revocation @m\n}\n",
		"(places) {\n\ttoken cookie {args[0]}\n}\n:8080 {\n\ttoken_revocation {\n\t\timport places session\n\t}\n}\n",
		":8080 {\n\troute {\n\t\ttoken_revocation\n\t\ttoken_revocation {\n\t\t\tendpoint /two\n\t\t}\n\t}\n}\n",
	} {
		if _, _, err := adapt(t, text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Each mistake is an error that says in which file and line, and names the word.
func TestCaddyfileMistakes(t *testing.T) {
	const later = "is not supported"
	for _, m := range []struct{ text, want string }{
		// What a later version will know.
		{global("cluster redis redis://a # HERE"), "cluster redis " + later},
		{global("cluster postgres postgres://a # HERE"), "cluster postgres " + later},

		// What is of no use without something else.
		{global("store memory # HERE"), "store memory is not possible without a cluster"},
		{global("store memory # HERE\nmax_staleness 10s"), "store memory is not possible without a cluster"},
		{global("max_staleness 10s # HERE\nwhen_unavailable allow"), "max_staleness is not possible without a cluster"},
		{global("cluster pigeon nats://a # HERE"), "token_revocation.clusters.pigeon"},

		// Words that nobody knows.
		{global("stroe bolt # HERE"), `"stroe"`},
		{global("{ # HERE\n}"), "'{'"},
		{global("client a {\nsecert x # HERE\n}"), `"secert"`},
		{global("client a {\nauth basic # HERE\n}"), `"basic"`},
		{global("client a {\nsecret x { # HERE\n}\n}"), `"{"`},
		{global("store redis # HERE"), "redis"},
		{global("store bolt {\nsize 1 # HERE\n}"), `"size"`},
		{directive("endpiont /x # HERE"), `"endpiont"`},
		{directive("endpoint revoke # HERE"), `"revoke"`},
		{directive("endpoint /a?b=c # HERE"), `"/a?b=c"`},
		{directive("endpoint /a/* # HERE"), `"/a/*"`},
		{directive("endpoint {env.X} # HERE"), `"{env.X}"`},
		{directive("endpoint /{env.X} # HERE"), `"/{env.X}"`},
		{directive("endpoint https://a.example/x # HERE"), `"https://a.example/x"`},
		{directive("profile rfc # HERE"), `"rfc"`},
		{global("issuer https://a.example {\njkws x # HERE\n}"), `"jkws"`},
		{global("introspection https://a.example {\nclient x # HERE\n}"), `"client"`},
		{directive("relay https://a.example {\ntimeuot 5s # HERE\n}"), `"timeuot"`},
		{directive("relay https://a.example {\ntransport smtp # HERE\n}"), "smtp"},
		{global("issuer idp.example # HERE"), `"idp.example"`},
		{global("issuer https://a.example/?x=y # HERE"), `"https://a.example/?x=y"`},
		{global("issuer ftp://a.example # HERE"), `"ftp://a.example"`},
		{global("issuer https://a.example {\njwks ftp://a.example # HERE\n}"), `"ftp://a.example"`},
		{global("client a {\njwks ftp://a.example # HERE\n}"), `"ftp://a.example"`},
		{global("introspection /introspect # HERE"), `"/introspect"`},
		{directive("relay idp.example/revoke # HERE"), `"idp.example/revoke"`},
		{directive("relay https://user:password@idp.example # HERE"), "credentials"},
		{directive("revoke all # HERE"), `"all"`},
		{directive("when_unavailable maybe # HERE"), `"maybe"`},
		{directive("token body access_token # HERE"), `"body"`},
		{directive("token header `X Y` # HERE"), `"X Y"`},
		{directive("token header Authorization # HERE"), "Authorization"},
		{directive("token cookie a { # HERE\n}"), `"{"`},
		{directive("realm größe # HERE"), "größe"},

		// What stands there twice.
		{global("store bolt\nstore bolt # HERE"), "store"},
		{global("cache 1MiB\ncache 1MiB # HERE"), "cache"},
		{global("retain 1h\nretain 1h # HERE"), "retain"},
		{global("leeway 1s\nleeway 1s # HERE"), "leeway"},
		{global("client a\nclient a # HERE"), "client a"},
		{global("client a {\nsecret x\nsecret y # HERE\n}"), "secret"},
		{global("client a {\nsecret_hash " + bcryptHash + "\nsecret_hash " + bcryptHash + " # HERE\n}"), "secret_hash"},
		{global("client a {\nauth none\nauth none # HERE\n}"), "auth"},
		{global("client a {\norigin https://a\norigin https://b # HERE\n}"), "origin"},
		{"{\n\ttoken_revocation\n\ttoken_revocation # HERE\n}\n:8080\n", "twice"},
		{directive("endpoint /a\nendpoint /b # HERE"), "endpoint"},
		{directive("profile rfc7009\nprofile rfc7009 # HERE"), "profile"},
		{directive("relay https://a.example\nrelay https://b.example # HERE"), "relay"},
		{directive("rate_limit 1 1s\nrate_limit 2 1s # HERE"), "rate_limit"},
		{global("issuer https://a.example\nissuer https://a.example # HERE"), "https://a.example"},
		{global("introspection https://a.example {\nclient_id a\nclient_secret b\n}\nintrospection https://b.example # HERE"), "introspection"},
		{global("issuer https://a.example {\naudience a\naudience b # HERE\n}"), "audience"},
		{global("client a {\njwks a.json\njwks b.json # HERE\n}"), "jwks"},
		{directive("revoke token\nrevoke token # HERE"), "revoke"},
		{directive("require_token\nrequire_token # HERE"), "require_token"},
		{directive("when_unavailable deny\nwhen_unavailable deny # HERE"), "when_unavailable"},
		{directive("realm a\nrealm b # HERE"), "realm"},

		// Too few or too many arguments, and empty ones.
		{"{\n\ttoken_revocation on # HERE\n}\n:8080\n", `"on"`},
		{"{\n\ttoken_revocation on { # HERE\n\t}\n}\n:8080\n", `"on"`},
		{":8080 {\n\ttoken_revocation /a b # HERE\n}\n", `"b"`},
		{":8080 {\n\ttoken_revocation on # HERE\n}\n", `"on"`},
		{global("store # HERE"), "store"},
		{global(`store bolt "" # HERE`), "path"},
		{global("store bolt a b # HERE"), `"b"`},
		{global("cache # HERE"), "cache"},
		{global("cache 1MiB 2MiB # HERE"), "cache"},
		{global("retain # HERE"), "retain"},
		{global("leeway 1s 2s # HERE"), "leeway"},
		{global("client # HERE"), "client"},
		{global("client { # HERE\n}"), "client"},
		{global("client a b # HERE"), "client"},
		{global(`client "" # HERE`), "client"},
		{global("client a {\nauth # HERE\n}"), "auth"},
		{global("client a {\nsecret # HERE\n}"), "secret"},
		{global("client a {\nsecret {$NOT_SET_ANYWHERE} # HERE\n}"), "secret"},
		{global("client a {\nsecret x y # HERE\n}"), "secret"},
		{global("client a {\nsecret \"\" # HERE\n}"), "secret"},
		{global("client a {\nsecret_hash # HERE\n}"), "secret_hash"},
		{global("client a {\norigin # HERE\n}"), "origin"},
		{directive("endpoint # HERE"), "endpoint"},
		{directive(`endpoint "" # HERE`), "endpoint"},
		{directive("endpoint /a /b # HERE"), "endpoint"},
		{directive("profile # HERE"), "profile"},
		{directive("relay # HERE"), "relay"},
		{directive("relay https://a.example https://b.example # HERE"), "relay"},
		{directive("rate_limit 100 # HERE"), "rate_limit"},
		{directive("rate_limit 100 1s 2 # HERE"), "rate_limit"},
		{directive("rate_limit 0 1s # HERE"), `"0"`},
		{directive("rate_limit many 1s # HERE"), `"many"`},
		{directive("rate_limit 100 0s # HERE"), `"0s"`},
		{directive("rate_limit 100 often # HERE"), `"often"`},
		{directive("relay https://a.example {\ntimeout 0s # HERE\n}"), "timeout"},
		{global("issuer # HERE"), "issuer"},
		{global("issuer https://a.example {\naudience # HERE\n}"), "audience"},
		{global("issuer https://a.example {\nsession_claim a b # HERE\n}"), "session_claim"},
		{global("introspection https://a.example # HERE"), "client_id"},
		{global("introspection https://a.example {\nclient_id a\n} # HERE"), "client_secret"},
		{global("introspection https://a.example {\nclient_id a\nclient_secret b c # HERE\n}"), "client_secret"},
		{global("client a {\njwks # HERE\n}"), "jwks"},
		{global("client a {\ntls_san_dns a b # HERE\n}"), "tls_san_dns"},
		{directive("revoke token session # HERE"), "revoke"},
		{directive("when_unavailable # HERE"), "when_unavailable"},
		{directive("require_token true # HERE"), `"true"`},
		{directive("realm # HERE"), "realm"},
		{directive("realm the api # HERE"), "realm"},
		{directive("token # HERE"), "token"},
		{directive("token cookie # HERE"), "token"},
		{directive(`token cookie "" # HERE`), "token"},
		{directive("token cookie a b # HERE"), `"b"`},
		{directive("token query a b # HERE"), `"b"`},
		{directive("token form a 1MiB b # HERE"), `"b"`},

		// Durations and sizes.
		{global("retain 0s # HERE"), "retain"},
		{global("retain -1h # HERE"), "-1h"},
		{global("retain 720 # HERE"), `"720"`},
		{global("retain a # HERE"), `"a"`},
		{global("retain 9999999h # HERE"), `"9999999h"`},
		{global("leeway -1s # HERE"), "-1s"},
		{global("leeway soon # HERE"), `"soon"`},
		{global("cache 0 # HERE"), `"0"`},
		{global("cache -1MiB # HERE"), `"-1MiB"`},
		{global("cache 32MiBs # HERE"), `"32MiBs"`},
		{global("cache lots # HERE"), `"lots"`},
		{global("cache 99EiB # HERE"), `"99EiB"`},
		{directive("token form a big # HERE"), `"big"`},
		{directive("token form a 0 # HERE"), `"0"`},

		// What does not go together.
		{global("client a {\nauth client_secret_basic\n} # HERE"), "client a: auth client_secret_basic needs a secret"},
		{global("client a {\nauth none\nsecret x\n} # HERE"), "client a: auth none does not go with a secret"},
		{global("client a {\nsecret x\nsecret_hash " + bcryptHash + "\n} # HERE"), "secret and secret_hash"},
		{global("client a {\nsecret {env.X}\nsecret_hash {env.Y}\n} # HERE"), "secret and secret_hash"},
		{global("client a {\nsecret_hash sha256:0011\n} # HERE"), "secret_hash"},
		{global("client a {\nsecret_hash $2a$31$" + bcryptHash[7:] + "\n} # HERE"), "secret_hash"},
		{global("client a {\nsecret_hash $argon2id$v=19$m=65536,t=0,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub\n} # HERE"), "secret_hash"},
		{global("client a {\norigin https://a.example/\n} # HERE"), `"https://a.example/"`},
		{global("client a {\norigin a.example\n} # HERE"), `"a.example"`},
		{global("client a {\norigin *\n} # HERE"), `"*"`},
		{global("client a {\norigin https://A.example\n} # HERE"), `"https://A.example"`},
		{global("client a {\norigin https://*.a.example\n} # HERE"), `"https://*.a.example"`},
		{global("client a {\norigin https://a.example:443\n} # HERE"), `"https://a.example:443"`},
		{global("client a {\norigin http://a.example:80\n} # HERE"), `"http://a.example:80"`},
		{global("client a {\norigin {env.X} https://ä.example\nsecret {env.X}\n} # HERE"), `"https://ä.example"`},
		{global("client a {\nauth none\nsecret_hash {env.X}\n} # HERE"), "auth none does not go with a secret"},
		{global("client " + strings.Repeat("a", 257) + " # HERE"), "257 bytes"},
	} {
		line := 1 + strings.Count(m.text[:strings.Index(m.text, "# HERE")], "\n")
		_, _, err := adapt(t, m.text)
		if err == nil {
			t.Errorf("no mistake, but want %s:\n%s", m.want, m.text)
			continue
		}
		if where := fmt.Sprintf("Caddyfile:%d", line); !strings.Contains(err.Error(), m.want) || !strings.Contains(err.Error(), where) {
			t.Errorf("%v, want %s and %s:\n%s", err, m.want, where, m.text)
		}
	}
}

// A mistake in or near a secret does not show it.
func TestCaddyfileMistakesKeepSecrets(t *testing.T) {
	for _, text := range []string{
		global("client a {\nsecret S3CRET two\n}"),
		global("client a {\nsecret S3CRET\nsecret x\n}"),
		global("client a {\nsecret x\nsecret S3CRET\n}"),
		global("client a {\nsecret_hash S3CRET\n}"),
		global("client a {\nsecret_hash $argon2id$S3CRET\n}"),
		global("client a {\nsecret_hash $argon2id$v=19$m=65536,t=1,p=2$S3CRET$!\n}"),
		global("client a {\nauth none\nsecret S3CRET\n}"),
		global("client a {\nsecret S3CRET\nsecret_hash S3CRET\n}"),
	} {
		if _, _, err := adapt(t, text); err == nil || strings.Contains(err.Error(), "S3CRET") {
			t.Errorf("%v:\n%s", err, text)
		}
	}
}

// JSON mistakes are found by the time the configuration is provisioned, and name
// the field.
func TestJSONMistakes(t *testing.T) {
	t.Setenv("EMPTY", "")
	app := func(s string) string { return `{"apps":{"token_revocation":` + s + `}}` }
	handler := func(s string) string {
		return `{"apps":{"http":{"servers":{"a":{"listen":["127.0.0.1:0"],"routes":[{"handle":[{"handler":"token_revocation",` + s + `}]}]}}}}}`
	}
	for _, m := range []struct{ config, want string }{
		{app(`{"cache_size":-1}`), "cache_size"},
		{app(`{"cache_size":"32MiB"}`), "cache_size"},
		{app(`{"cache":1}`), `"cache"`},
		{app(`{"retain":-1}`), "retain"},
		{app(`{"retain":"x"}`), `"x"`},
		{app(`{"leeway":-1}`), "leeway"},
		{app(`{"store":{}}`), "store"},
		{app(`{"store":{"backend":"memory"}}`), "store: it forgets everything on a restart"},
		{app(`{"store":{"backend":"memory","path":"x"},"cluster":{"engine":"nats","servers":["a"]}}`), `"path"`},
		{app(`{"store":{"backend":"bolt","file":"x"}}`), `"file"`},
		{app(`{"store":{"backend":"bolt","path":"{env.EMPTY}"}}`), "path"},
		{app(`{"store":{"backend":"bolt","path":"{nope}"}}`), "path"},
		{app(`{"cluster":{}}`), "cluster"},
		{app(`{"cluster":{"engine":"carrier pigeon"}}`), "token_revocation.clusters.carrier pigeon"},
		{app(`{"cluster":{"engine":"redis"}}`), "cluster redis is not supported by this version"},
		{app(`{"max_staleness":10000000000}`), "max_staleness: there is no cluster"},
		{app(`{"max_staleness":100000000,"cluster":{"engine":"nats","servers":["a"]}}`), "max_staleness: 100ms is not possible"},
		{app(`{"max_staleness":-1}`), "max_staleness: -1ns"},
		{app(`{"when_unavailable":"maybe"}`), "when_unavailable"},
		{app(`{"clients":[{}]}`), "clients[0]"},
		{app(`{"clients":[{"id":"a"},{"id":""}]}`), "clients[1]"},
		{app(`{"clients":[{"id":"{env.EMPTY}"}]}`), "clients[0] ({env.EMPTY}): id"},
		{app(`{"clients":[{"id":"a"},{"id":"a"}]}`), "client a is there twice"},
		{app(`{"clients":[{"id":"a","name":"x"}]}`), `"name"`},
		{app(`{"clients":[{"id":"a","secret":"x","secret_hash":"y"}]}`), "clients[0] (a): secret and secret_hash"},
		{app(`{"clients":[{"id":"a","secret":"{env.EMPTY}"}]}`), "clients[0] (a): secret: evaluated placeholder {env.EMPTY} is empty"},
		{app(`{"clients":[{"id":"a","secret":"{file./does/not/exist}"}]}`), "clients[0] (a): secret"},
		{app(`{"clients":[{"id":"a","secret_hash":"{env.EMPTY}"}]}`), "clients[0] (a): secret_hash: evaluated placeholder {env.EMPTY} is empty"},
		{app(`{"clients":[{"id":"a","secret_hash":"x"}]}`), "clients[0] (a): secret_hash"},
		{app(`{"clients":[{"id":"a","auth":["tls_client_auth"]}]}`), "clients[0] (a): auth"},
		{app(`{"clients":[{"id":"a","auth":["client_secret_basic"]}]}`), "clients[0] (a): auth client_secret_basic"},
		{app(`{"clients":[{"id":"a","auth":["none"],"secret":"x"}]}`), "clients[0] (a): auth none"},
		{app(`{"clients":[{"id":"a","origins":["a.example"]}]}`), `clients[0] (a): "a.example"`},
		{app(`{"clients":[{"id":"a","origins":["{env.EMPTY}"]}]}`), "clients[0] (a): origins"},
		{handler(`"endpoint":"revoke"`), "endpoint"},
		{handler(`"endpoint":"/a?b"`), "endpoint"},
		{handler(`"profile":"soap"`), `profile "soap"`},
		{handler(`"revoke":"all"`), `revoke "all"`},
		{handler(`"when_unavailable":"maybe"`), "when_unavailable"},
		{handler(`"realm":"a\nb"`), "realm"},
		{handler(`"tokens":[{"in":"body","name":"a"}]`), "tokens"},
		{handler(`"tokens":[{"in":"cookie"}]`), "tokens"},
		{handler(`"tokens":[{"in":"cookie","name":"a","schemes":["x"]}]`), "tokens"},
		{handler(`"tokens":[{"in":"query","name":"a","max_size":1}]`), "tokens"},
		{handler(`"tokens":[{"in":"form","name":"a","max_size":-1}]`), "tokens"},
		{handler(`"tokens":[{"in":"header","name":"Authorization"}]`), "tokens"},
		{handler(`"tokens":[{"in":"header","name":"a","extra":1}]`), `"extra"`},
		{handler(`"rate_limit":1`), "rate_limit"},
	} {
		var config caddy.Config
		if err := json.Unmarshal([]byte(m.config), &config); err != nil {
			t.Fatal(err)
		}
		switch err := caddy.Validate(&config); {
		case err == nil:
			t.Errorf("no mistake, but want %s:\n\t%s", m.want, m.config)
		case !strings.Contains(err.Error(), m.want):
			t.Errorf("%v, want %s:\n\t%s", err, m.want, m.config)
		}
	}
}

// A secret may have braces; what they hold is not shown.
func TestSecretWithBraces(t *testing.T) {
	for secret, want := range map[string]bool{`S3{CR}ET`: false, `{S3CRET}`: false, `S3\\{CR\\}ET`: true, `S3{CRET`: true, `S3}CRET`: true} {
		config := new(caddy.Config)
		if err := json.Unmarshal([]byte(`{"apps":{"token_revocation":{"clients":[{"id":"a","secret":"`+secret+`"}]}}}`), config); err != nil {
			t.Fatal(err)
		}
		err := caddy.Validate(config)
		if want && err != nil || !want && (err == nil || !strings.Contains(err.Error(), "clients[0] (a): secret")) {
			t.Errorf("%s: %v", secret, err)
		}
		if err != nil && (strings.Contains(err.Error(), "CR}") || strings.Contains(err.Error(), "{CR") || strings.Contains(err.Error(), "S3")) {
			t.Errorf("%s: %v", secret, err)
		}
	}
}
