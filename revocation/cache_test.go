package revocation

import "testing"

// Two keys may share what the cache knows them by.
func TestCacheCollision(t *testing.T) {
	x := newIndex(t0)
	c, err := newCache(1<<20, x)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	there, other := testKey(1), testKey(2)
	c.entries.Set(x.hash(&other), &cached{record: Record{Key: there}}, 1)
	c.entries.Wait()
	if r, ok := c.entries.Get(x.hash(&other)); !ok || r.record.Key != there {
		t.Fatal("the record is not cached")
	}
	if r, ok := c.get(&other); ok {
		t.Errorf("get(%s) = %+v", other, r)
	}
}
