package clustertest

import (
	"slices"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// resume goes on from each cursor that there was.
func resume(f *fixture) {
	engine, other := f.open(), f.open()
	s := f.follow(other, nil)
	for i := range 10 {
		f.apply(engine, records(i*10, i*10+10)...)
		s.mustReachEnd()
	}
	s.stop()
	f.apply(engine, records(100, 110)...)
	var before []revocation.Record
	for _, d := range s.deliveries {
		before = append(before, d.records...)
		resumed := f.follow(f.open(), d.cursor, before...)
		resumed.wants(records(0, 110)...)
		if why := resumed.why(); why != "" {
			f.Errorf("there was a needless snapshot: %s", why)
		}
		if n := resumed.count() + len(before); n != 110 {
			f.Errorf("%d of 110 records came", n)
		}
		resumed.stop()
	}
}

// resumeAfterRestart asserts that a restart of the server is no reason for doubt.
func resumeAfterRestart(f *fixture) {
	engine := f.open()
	f.apply(engine, records(0, 100)...)
	s := f.follow(engine, nil)
	s.wants(records(0, 100)...)
	cursor := s.cursor()
	f.restart(func() {})
	f.ready(engine)
	f.apply(engine, records(100, 110)...)
	s = f.follow(engine, cursor, records(0, 100)...)
	s.wants(records(0, 110)...)
	if why := s.why(); why != "" {
		f.Errorf("there was a needless snapshot: %s", why)
	}
}

// forged asserts that with whatever is no cursor, all is delivered.
func forged(f *fixture) {
	engine := f.open()
	f.apply(engine, records(0, 5)...)
	s := f.follow(engine, nil)
	s.wants(records(0, 5)...)
	s.stop()
	cursor := s.cursor()
	f.apply(engine, records(5, 10)...)
	for name, forged := range map[string][]byte{
		"empty": {}, "zeros": make([]byte, len(cursor)), "text": []byte("cursor"), "null": []byte("null"), "braces": []byte("{}"),
		"trimmed": cursor[:len(cursor)-1], "cut in half": cursor[:len(cursor)/2], "longer": append(slices.Clone(cursor), cursor...),
	} {
		s := f.follow(engine, forged)
		s.wants(records(0, 10)...)
		if s.why() == "" {
			f.Errorf("with a cursor that is %s there was no snapshot", name)
		}
		s.stop()
	}
	// Flipped bits may mean the same; never that something is left out.
	for at := 0; at < len(cursor); at += 3 {
		flipped := slices.Clone(cursor)
		flipped[at] ^= 1 << (at % 8)
		s := f.follow(engine, flipped)
		s.wants(records(5, 10)...)
		if s.why() != "" && s.state().lacks(records(0, 10)...) > 0 {
			f.Errorf("with bit %d of byte %d flipped (%s) the snapshot lacks something: %s", at%8, at, flipped, s.why())
		}
		s.stop()
	}
}

// foreign takes the cursor of another place along, where the same was done.
func foreign(f *fixture) {
	there := f.openAt(f.places())
	f.ready(there)
	f.apply(there, records(0, 20)...)
	s := f.follow(there, nil)
	s.wants(records(0, 20)...)
	engine := f.open()
	f.apply(engine, records(0, 20)...)
	here := f.follow(engine, s.cursor())
	here.wants(records(0, 20)...)
	if here.why() == "" {
		f.Error("there was no snapshot")
	}
}

// ended goes on from a cursor at a record that the engine has removed since, for its
// end: whatever that is taken for, nothing that followed is left out.
func ended(f *fixture) {
	engine := f.open()
	s := f.follow(engine, nil)
	s.mustReachEnd()
	short := record(1)
	short.Expires = time.Now().Truncate(time.Second).Add(2 * time.Second)
	f.apply(engine, short)
	s.wants(short)
	cursor := s.cursor()
	s.stop()
	f.apply(engine, records(2, 12)...)
	f.eventually("the record is gone", func() bool {
		s := f.follow(engine, nil)
		defer s.stop()
		s.wants(records(2, 12)...)
		return s.count() == 10
	})
	late := f.follow(engine, cursor, short)
	late.wants(records(2, 12)...)
	f.apply(engine, record(12))
	late.wants(record(12))
}

// restored puts older data in place: what followed is gone, and whoever had it
// has to be told.
func restored(f *fixture) {
	engine := f.open()
	f.apply(engine, records(0, 10)...)
	s := f.follow(engine, nil)
	s.wants(records(0, 10)...)
	early := s.cursor()
	s.stop()
	restore := f.save()
	f.ready(engine)
	f.apply(engine, records(10, 20)...)
	s = f.follow(engine, early, records(0, 10)...)
	s.wants(records(0, 20)...)
	cursor := s.cursor()
	f.restart(restore)
	f.ready(engine)
	late := f.follow(engine, cursor)
	late.wants(records(0, 10)...)
	if late.why() == "" {
		f.Error("there was no snapshot")
	}
	if late.state().lacks(records(10, 20)...) != 10 {
		f.Error("the data was not restored: this test shows nothing")
	}
}

// restoredAndGoneOn restores older data and writes until the place that a cursor
// points at is there again, with something else.
func restoredAndGoneOn(f *fixture) {
	engine := f.open()
	f.apply(engine, records(0, 10)...)
	restore := f.save()
	f.ready(engine)
	f.apply(engine, record(10))
	s := f.follow(engine, nil)
	s.wants(record(10))
	cursor := s.cursor()
	f.restart(restore)
	f.ready(engine)
	for i := 100; i < 160; i++ { // also over where that cursor was
		f.apply(engine, record(i))
	}
	late := f.follow(engine, cursor)
	late.wants(records(100, 160)...)
	if late.why() == "" {
		f.Error("there was no snapshot")
	}
}

func wiped(f *fixture) {
	engine := f.open()
	f.apply(engine, records(0, 10)...)
	s := f.follow(engine, nil)
	s.wants(records(0, 10)...)
	cursor := s.cursor()
	f.restart(f.place.Wipe)
	f.ready(engine)
	late := f.follow(engine, cursor)
	late.mustReachEnd()
	if late.why() == "" || len(late.state()) > 0 {
		f.Errorf("after a wipe %d records came, with a snapshot because %q", len(late.state()), late.why())
	}
	f.apply(engine, record(11))
	late.wants(record(11))
}
