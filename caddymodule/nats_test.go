package caddymodule_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// Every option of cluster nats, as caddy adapt shows it.
func TestNATSCaddyfile(t *testing.T) {
	for lines, want := range map[string]string{
		"cluster nats nats1":                                                `{"engine":"nats","servers":["nats1"]}`,
		"cluster nats nats1 {\n}":                                           `{"engine":"nats","servers":["nats1"]}`,
		"cluster nats nats://a:4222 tls://b {$NATS_TEST_C}:1":               `{"engine":"nats","servers":["nats://a:4222","tls://b","c.example:1"]}`,
		"cluster nats nats://{env.U}:{env.P}@a {file./run/b}":               `{"engine":"nats","servers":["nats://{env.U}:{env.P}@a","{file./run/b}"]}`,
		"cluster nats ws://a wss://b":                                       `{"engine":"nats","servers":["ws://a","wss://b"]}`,
		"cluster nats a {\nuser gateway {env.P}\n}":                         `{"engine":"nats","password":"{env.P}","servers":["a"],"user":"gateway"}`,
		"cluster nats a {\ntoken {file./run/token}\n}":                      `{"engine":"nats","servers":["a"],"token":"{file./run/token}"}`,
		"cluster nats a {\nnkey {env.DIR}/user.nk\n}":                       `{"engine":"nats","nkey_file":"{env.DIR}/user.nk","servers":["a"]}`,
		"cluster nats a {\ncredentials /run/user.creds\n}":                  `{"credentials_file":"/run/user.creds","engine":"nats","servers":["a"]}`,
		"cluster nats a {\ntls\n}":                                          `{"engine":"nats","servers":["a"],"tls":{}}`,
		"cluster nats a {\ntls {\nca {env.DIR}/ca.pem\n}\n}":                `{"engine":"nats","servers":["a"],"tls":{"ca_file":"{env.DIR}/ca.pem"}}`,
		"cluster nats a {\ntls {\ncertificate c.pem k.pem\n}\n}":            `{"engine":"nats","servers":["a"],"tls":{"certificate_file":"c.pem","key_file":"k.pem"}}`,
		"cluster nats a {\ntls {\nserver_name b\nfirst\n}\n}":               `{"engine":"nats","servers":["a"],"tls":{"first":true,"server_name":"b"}}`,
		"cluster nats a {\nstream S\nprefix a.b\ndomain hub\n}":             `{"domain":"hub","engine":"nats","prefix":"a.b","servers":["a"],"stream":"S"}`,
		"cluster nats a {\nreplicas 3\nmax_bytes 1GiB\ngrace 2h\n}":         `{"engine":"nats","grace":7200000000000,"max_bytes":1073741824,"replicas":3,"servers":["a"]}`,
		"cluster nats a {\nmonitor http://a:8222 b:8222 https://{env.C}\n}": `{"engine":"nats","monitor":["http://a:8222","b:8222","https://{env.C}"],"servers":["a"]}`,
	} {
		t.Setenv("NATS_TEST_C", "c.example")
		app, _, err := adapt(t, global(lines))
		if want := `{"cluster":` + want + `}`; err != nil || app != want {
			t.Errorf("%s:\n\t%s %v, want\n\t%s", lines, app, err, want)
		}
	}
}

// Mistakes are said with the line, which HERE marks, and without what is secret.
func TestNATSCaddyfileMistakes(t *testing.T) {
	for lines, want := range map[string]string{
		"cluster # HERE":                                           "cluster",
		"cluster nats # HERE":                                      "at least one argument",
		"cluster nats \"\" # HERE":                                 "empty",
		"cluster nats http://user:S3CRET@a # HERE":                 "http:// is none of nats, tls, ws, wss",
		"cluster nats b nats://user:S3CRET%zz@a # HERE":            "argument 2: this is not a URL",
		"cluster nats nats://user:S3CRET@ # HERE":                  "not a URL",
		"cluster nats a {\ncluster b # HERE\n}":                    `no option "cluster"`,
		"cluster nats a {\nusername b # HERE\n}":                   `no option "username"`,
		"cluster nats a {\nuser S3CRET # HERE\n}":                  "user takes two arguments",
		"cluster nats a {\nuser a S3CRET c # HERE\n}":              "user takes two arguments",
		"cluster nats a {\nuser a b\nuser a S3CRET # HERE\n}":      "user is there twice",
		"cluster nats a {\ntoken # HERE\n}":                        "token takes one argument",
		"cluster nats a {\ntoken S3CRET b # HERE\n}":               "token takes one argument",
		"cluster nats a {\ntoken \"\" # HERE\n}":                   "token is empty",
		"cluster nats a {\nnkey # HERE\n}":                         "nkey takes one argument",
		"cluster nats a {\ncredentials a b # HERE\n}":              "credentials takes one argument",
		"cluster nats a {\nuser a S3CRET\ntoken S3CRET\n} # HERE":  "exclude each other",
		"cluster nats a {\nnkey a\ncredentials b\n} # HERE":        "exclude each other",
		"cluster nats a {\ntls a # HERE\n}":                        `unexpected "a" after tls`,
		"cluster nats a {\ntls\ntls # HERE\n}":                     "tls is there twice",
		"cluster nats a {\ntls {\nca # HERE\n}\n}":                 "ca takes one argument",
		"cluster nats a {\ntls {\nca a\nca b # HERE\n}\n}":         "ca is there twice",
		"cluster nats a {\ntls {\ncertificate a # HERE\n}\n}":      "certificate takes two arguments",
		"cluster nats a {\ntls {\nserver_name # HERE\n}\n}":        "server_name takes one argument",
		"cluster nats a {\ntls {\nfirst yes # HERE\n}\n}":          `unexpected "yes" after first`,
		"cluster nats a {\ntls {\ninsecure # HERE\n}\n}":           `tls has no option "insecure"`,
		"cluster nats a {\nstream # HERE\n}":                       "stream takes one argument",
		"cluster nats a {\nprefix a b # HERE\n}":                   "prefix takes one argument",
		"cluster nats a {\ndomain # HERE\n}":                       "domain takes one argument",
		"cluster nats a {\nreplicas many # HERE\n}":                `"many" is not a number`,
		"cluster nats a {\nreplicas 0 # HERE\n}":                   `"0" is not a number from 1 on`,
		"cluster nats a {\nreplicas 6\n} # HERE":                   "1 to 5",
		"cluster nats a {\nmax_bytes much # HERE\n}":               `"much" is not a size`,
		"cluster nats a {\ngrace 0s # HERE\n}":                     "grace must be more than 0",
		"cluster nats a {\ngrace soon # HERE\n}":                   `"soon" is not a duration`,
		"cluster nats a {\nmonitor # HERE\n}":                      "monitor takes at least one argument",
		"cluster nats a {\nmonitor nats://user:S3CRET@a # HERE\n}": "monitor: argument 1: nats:// is none of http, https",
		"cluster nats a {\nmonitor http://a\nmonitor b # HERE\n}":  "monitor is there twice",
		"cluster nats a\ncluster nats b # HERE":                    "cluster is there twice",
		"cluster carrier_pigeon a # HERE":                          "carrier_pigeon",
	} {
		text := global(lines)
		where := fmt.Sprintf("Caddyfile:%d", 1+strings.Count(text[:strings.Index(text, "# HERE")], "\n"))
		_, _, err := adapt(t, text)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), where) || strings.Contains(err.Error(), "S3CRET") {
			t.Errorf("%v, want %s and %s:\n%s", err, want, where, text)
		}
	}
}

// What is wrong in JSON, in files and in what placeholders stand for is known by
// the time that the configuration is provisioned, which connects to nothing.
func TestNATSConfigMistakes(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert, key := natsCertificate(t)
	certFile := file("cert.pem", cert)
	file("key.pem", key)
	t.Setenv("EMPTY", "")
	t.Setenv("DIR", dir)
	t.Setenv("BAD", "nats://user:S3CRET%zz@a")
	for config, want := range map[string]string{
		`{}`:                                                                     "servers: at least one",
		`{"servers":[]}`:                                                         "servers: at least one",
		`{"servers":"a"}`:                                                        "servers",
		`{"servers":["a"],"url":"b"}`:                                            `"url"`,
		`{"servers":["a",""]}`:                                                   "servers[1]: this is not a URL",
		`{"servers":["{env.BAD}"]}`:                                              "servers[0]: this is not a URL",
		`{"servers":["{env.EMPTY}"]}`:                                            "servers[0]",
		`{"servers":["nats://u:{env.EMPTY}@a"]}`:                                 "servers[0]: a placeholder is unknown or empty",
		`{"servers":["a","https://user:S3CRET@b"]}`:                              "servers[1]: https:// is none of",
		`{"servers":["a","ws://user:S3CRET@b"]}`:                                 "cannot be mixed",
		`{"servers":["a"],"user":"a"}`:                                           "user and password",
		`{"servers":["a"],"password":"S3CRET"}`:                                  "user and password",
		`{"servers":["a"],"user":"a","password":"{env.EMPTY}"}`:                  "password",
		`{"servers":["a"],"user":"a","password":"{S3CRET}"}`:                     "password: a placeholder is unknown",
		`{"servers":["a"],"token":"{env.EMPTY}"}`:                                "token",
		`{"servers":["a"],"token":"S3CRET","user":"a","password":"S3CRET"}`:      "exclude each other",
		`{"servers":["a"],"nkey_file":"{env.DIR}/none"}`:                         "nkey_file",
		`{"servers":["a"],"nkey_file":"` + file("bad.nk", "SUS3CRET") + `"}`:     "bad.nk holds no seed",
		`{"servers":["a"],"credentials_file":"{env.DIR}/none"}`:                  "credentials_file",
		`{"servers":["a"],"tls":{"ca_file":"{env.DIR}/none"}}`:                   "tls: open " + dir,
		`{"servers":["a"],"tls":{"ca_file":"{env.EMPTY}"}}`:                      "tls: ca_file",
		`{"servers":["a"],"tls":{"ca_file":"` + file("ca.pem", "S3CRET") + `"}}`: "ca.pem holds no certificate",
		`{"servers":["a"],"tls":{"certificate_file":"` + certFile + `"}}`:        "belong together",
		`{"servers":["a"],"tls":{"certificate_file":"a","key_file":"b"}}`:        "tls: open a",
		`{"servers":["a"],"tls":{"certificate_file":"` + certFile + `","key_file":"` + certFile + `"}}`: "tls:",
		`{"servers":["a"],"tls":{"insecure":true}}`:                                                     `"insecure"`,
		`{"servers":["a"],"stream":"a b"}`:                                                              `stream: "a b"`,
		`{"servers":["a"],"stream":"a.b"}`:                                                              `stream: "a.b"`,
		`{"servers":["a"],"prefix":"a.>"}`:                                                              `prefix: "a.>"`,
		`{"servers":["a"],"prefix":"$JS"}`:                                                              `prefix: "$JS"`,
		`{"servers":["a"],"prefix":"a..b"}`:                                                             `prefix: "a..b"`,
		`{"servers":["a"],"domain":"a.b"}`:                                                              `domain: "a.b"`,
		`{"servers":["a"],"replicas":6}`:                                                                "replicas",
		`{"servers":["a"],"replicas":-1}`:                                                               "replicas",
		`{"servers":["a"],"max_bytes":-1}`:                                                              "max_bytes",
		`{"servers":["a"],"max_bytes":"1GiB"}`:                                                          "max_bytes",
		`{"servers":["a"],"grace":-1}`:                                                                  "grace",
		`{"servers":["a"],"monitor":["nats://user:S3CRET@a"]}`:                                          "monitor[0]: nats:// is none of http, https",
		`{"servers":["a"],"monitor":["http://"]}`:                                                       "monitor[0]",
	} {
		config = `{"engine":"nats",` + strings.TrimPrefix(config, "{")
		config = strings.Replace(config, ",}", "}", 1)
		if err := natsValidate(t, config); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "S3CRET") {
			t.Errorf("%v, want %s:\n\t%s", err, want, config)
		}
	}
	for _, config := range []string{
		`{"engine":"nats","servers":["192.0.2.1","tls://nothing.invalid"],"tls":{"ca_file":"{env.DIR}/cert.pem","certificate_file":"{env.DIR}/cert.pem","key_file":"{env.DIR}/key.pem"}}`,
		`{"engine":"nats","servers":["wss://a/path"],"user":"a","password":"\\{b\\}","monitor":["a:8222","https://b:8222"],"prefix":"a.b","stream":"S","domain":"hub"}`,
	} {
		if err := natsValidate(t, config); err != nil {
			t.Errorf("%v:\n\t%s", err, config)
		}
	}
}

func natsValidate(t *testing.T, cluster string) error {
	t.Helper()
	var config caddy.Config
	if err := json.Unmarshal([]byte(`{"apps":{"token_revocation":{"cluster":`+cluster+`}}}`), &config); err != nil {
		t.Fatalf("%v: %s", err, cluster)
	}
	return caddy.Validate(&config)
}

func natsCertificate(t *testing.T) (cert, key string) {
	t.Helper()
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &pair.PublicKey, pair)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(pair)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}
