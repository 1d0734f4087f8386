package endpoint

import (
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// maxOwed bounds what is owed.
const maxOwed = 1 << 12

// owed are the sessions that were to end with tokens about which the
// authorization server has been asked, without that the whole came to its end: it
// did not answer, or a record could not be stored. It may have revoked the token,
// and then knows nothing of its session any more when the client tries again. It
// is in memory only: a reload forgets it.
type owed struct {
	sessions *lru.Cache[revocation.Key, revocation.Record] // by token
}

func newOwed() owed { return owed{table[revocation.Key, revocation.Record](maxOwed)} }

// begin remembers the session among the records of a token.
func (o owed) begin(token revocation.Key, records []revocation.Record) {
	for _, r := range records {
		if r.Key.Kind == revocation.KindSession {
			o.sessions.Add(token, r)
		}
	}
}

// of is the session that a token has left by a client, if any.
func (o owed) of(token revocation.Key, by string) []revocation.Record {
	if r, ok := o.sessions.Get(token); ok && r.By == by {
		return []revocation.Record{r}
	}
	return nil
}

// end forgets the session that a token has left by a client, which has ended.
func (o owed) end(token revocation.Key, by string) {
	if len(o.of(token, by)) > 0 {
		o.sessions.Remove(token)
	}
}
