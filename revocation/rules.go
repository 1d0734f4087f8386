package revocation

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
	"sync/atomic"
	"time"
)

// Rule is what a rule is about: what tokens say about themselves, within an
// issuer.
type Rule struct {
	Kind          Kind
	Issuer, Value string
}

// Key is the rule's key.
func (r Rule) Key() Key { return RuleKey(r.Kind, r.Issuer, r.Value) }

// worded says whether records of a kind always say in words what they are about,
// so that a check can do without the digest of that. Sessions need not.
func (k Kind) worded() bool { return KindJTI <= k && k <= KindIssuer }

// Rules are the rules that may be live at one moment.
type Rules struct {
	// Kinds are those of which there may be a rule; without any there is nothing
	// to check.
	Kinds KindSet

	list *Denylist
	now  time.Time
}

// Rules are those of now. Where there has been no rule, it costs one load from
// memory.
func (d *Denylist) Rules() Rules {
	end := d.kinds.any.Load()
	if end == 0 {
		return Rules{}
	}
	r := Rules{list: d, now: d.now()}
	ended := r.now.Add(-time.Duration(d.leeway.Load())).Unix()
	if end <= ended {
		return Rules{}
	}
	for kind := range Kind(kindCount) {
		if kind.Rule() && d.kinds.latest[kind].Load() > ended {
			r.Kinds |= KindsOf(kind)
		}
	}
	return r
}

// Check is [Denylist.CheckIssued] for the key of a rule: a token falls under it
// that was issued at that time. Where there is no such rule, it takes no lock and
// does not allocate. It keeps nothing of the rule.
func (r *Rules) Check(rule *Rule, issued time.Time) Verdict {
	if !r.Kinds.Has(rule.Kind) {
		return Verdict{Outcome: Clear}
	}
	if !rule.Kind.worded() {
		key := rule.Key()
		return r.list.CheckIssued(&key, issued)
	}
	mark := rule.mark()
	if !r.list.indexes.of(rule.Kind).has(&mark) && !r.list.closed.Load() {
		return Verdict{Outcome: Clear}
	}
	return r.list.settleRule(rule, &mark, r.now, issued)
}

// settleRule finds out whether there is the rule that the index suspects.
func (d *Denylist) settleRule(rule *Rule, mark *Key, now, issued time.Time) Verdict {
	hot := d.hot.of(mark)
	if r := hot.get(rule, d.cache.generation()); r != nil && r.live(now, time.Duration(d.leeway.Load())) && !d.closed.Load() {
		return verdict(r, issued)
	}
	generation := d.cache.generation()
	r, err := d.find(rule.Key())
	switch {
	case err == nil:
		hot.Store(&cached{*r, generation})
		return verdict(r, issued)
	case errors.Is(err, ErrNotFound):
		return Verdict{Outcome: Clear}
	}
	return Verdict{Err: err}
}

// mark stands for the key of a worded rule where one is looked for that is mostly
// not there: made of a quick hash, under a seed that only this process knows.
func (r *Rule) mark() Key {
	k := Key{Kind: r.Kind}
	binary.LittleEndian.PutUint64(k.Digest[0:], maphash.String(markSeed, r.Issuer))
	binary.LittleEndian.PutUint64(k.Digest[8:], maphash.String(markSeed, r.Value))
	return k
}

var markSeed = maphash.MakeSeed()

// mark is what the index knows a record by: its key, or what stands for it.
func (r *Record) mark() Key {
	if !r.Key.Kind.worded() {
		return r.Key
	}
	rule := Rule{r.Key.Kind, r.Issuer, r.Value}
	return rule.mark()
}

// hotRules are records of rules under which tokens fall all the time without being
// refused, as they were issued later: every request asks for them, and a cache
// that keeps count of that would cost more than all else. What is here has to be
// up to date as the [cache] has it, and is compared word by word.
type hotRules [hotRuleCount]hotRule

const hotRuleCount = 1 << 12

type hotRule struct{ atomic.Pointer[cached] }

func (h *hotRules) of(mark *Key) *hotRule {
	one, other := binary.LittleEndian.Uint64(mark.Digest[0:]), binary.LittleEndian.Uint64(mark.Digest[8:])
	return &h[(one+other+uint64(mark.Kind))%hotRuleCount]
}

func (h *hotRule) get(rule *Rule, generation uint64) *Record {
	c := h.Load()
	if c == nil || c.generation != generation ||
		c.record.Key.Kind != rule.Kind || c.record.Value != rule.Value || c.record.Issuer != rule.Issuer {
		return nil
	}
	return &c.record
}
