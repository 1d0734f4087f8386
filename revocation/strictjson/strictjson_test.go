package strictjson_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/strictjson"
)

type base struct {
	Token string `json:"token"`
}

type thing struct {
	base
	Reason string     `json:"reason,omitempty"`
	Dry    bool       `json:"dry"`
	Count  uint64     `json:"count"`
	When   *time.Time `json:"when"`
	Other  string
}

func TestUnmarshal(t *testing.T) {
	var got thing
	err := strictjson.Unmarshal([]byte(` {"token":"a\u00e4","dry":true, "count":7,"when":"2026-11-22T04:00:00Z"} `), &got)
	if err != nil || got.Token != "aä" || !got.Dry || got.Count != 7 || got.When == nil || got.When.Hour() != 4 {
		t.Errorf("%+v %v", got, err)
	}
	if err := strictjson.Unmarshal([]byte(`{}`), &got); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]string{
		``:                                 "must be one JSON object",
		`[]`:                               "must be one JSON object",
		`"secret"`:                         "must be one JSON object",
		`null`:                             "must be one JSON object",
		`{"token":"secret"`:                "must be one JSON object",
		`{"token":"secret",}`:              "must be one JSON object",
		`{"token":"secret"}{}`:             "must be one JSON object, and nothing after it",
		`{"token":"secret"} secret`:        "must be one JSON object, and nothing after it",
		`{"token":"secret","token":"b"}`:   `"token" stands twice`,
		`{"token":"a","to\u006ben":"b"}`:   `"token" stands twice`,
		`{"Token":"secret"}`:               "there is a member other than token, reason, dry, count, when",
		`{"secret":1}`:                     "there is a member other than token, reason, dry, count, when",
		`{"Other":"secret"}`:               "there is a member other than token, reason, dry, count, when",
		`{"":"secret"}`:                    "there is a member other than token, reason, dry, count, when",
		`{"token":null}`:                   `"token" must not be null`,
		`{"when":null}`:                    `"when" must not be null`,
		`{"token":1}`:                      `"token" must be a string`,
		`{"token":["secret"]}`:             `"token" must be a string`,
		`{"token":"\ud800"}`:               `"token" is not valid Unicode`,
		"{\"token\":\"\xff\"}":             `"token" is not valid Unicode`,
		`{"dry":"secret"}`:                 `"dry" must be true or false`,
		`{"dry":1}`:                        `"dry" must be true or false`,
		`{"count":-1}`:                     `"count" must be a whole number`,
		`{"count":1.5}`:                    `"count" must be a whole number`,
		`{"count":18446744073709551616}`:   `"count" must be a whole number`,
		`{"when":"secret"}`:                `"when" is not valid`,
		`{"when":1}`:                       `"when" is not valid`,
		`{"when":{"secret":1}}`:            `"when" is not valid`,
		`{"dry":"secret","token":"twice"}`: `"dry" must be true or false`,
	} {
		err := strictjson.Unmarshal([]byte(text), new(thing))
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s is repeated: %v", text, err)
		}
	}
}
