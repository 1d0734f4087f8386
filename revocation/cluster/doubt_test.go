package cluster

import (
	"testing"
	"time"
)

const second = time.Second

// told is a doubt that became level after ten seconds.
func told(hold time.Duration) *doubt {
	d := &doubt{self: 1, settle: 5 * second, hold: hold}
	d.heartbeat(9*second, 10*second)
	return d
}

func TestDoubt(t *testing.T) {
	d := told(0)
	if d.heartbeat(14*second, 30*second) {
		t.Error("a heartbeat counts by when it came")
	}
	if _, ok := d.unanswered(); ok {
		t.Error("it knows nothing, and answers")
	}
	if !d.heartbeat(15*second, 15*second) || !d.heartbeat(15*second, 16*second) {
		t.Error("the doubt does not end")
	}
	d.note(note{noteRepairing, 2}, 17*second)
	if !d.heartbeat(18*second, 18*second) {
		t.Error("a doubt that was over is disturbed")
	}
}

// Repairs of others are waited for, however long they take; the own is not.
func TestDoubtRepair(t *testing.T) {
	d := told(0)
	for at := 12 * second; at < time.Hour; at += second {
		d.note(note{noteRepairing, 2}, at)
		if d.heartbeat(at, at) {
			t.Fatal("a repair of another node is not waited for")
		}
	}
	if !d.heartbeat(time.Hour+5*second, time.Hour+5*second) {
		t.Error("the doubt does not end when nobody repairs any more")
	}
	d = told(0)
	d.note(note{noteRepairing, d.self}, 14*second)
	if !d.heartbeat(15*second, 15*second) {
		t.Error("the own repair is waited for")
	}
}

// A node that had word waits no longer than hold, and vouches for nobody then.
func TestDoubtHold(t *testing.T) {
	d := told(8 * second)
	d.note(note{noteRepairing, 2}, 17*second)
	if d.heartbeat(17*second, 17*second) {
		t.Error("a repair is not waited for")
	}
	if !d.heartbeat(18*second, 18*second) {
		t.Error("a repair is waited for too long")
	}
	d.note(note{noteQuestion, 7}, 18*second)
	if _, ok := d.unanswered(); ok {
		t.Error("a node vouches for what it did not wait for")
	}
	d.heartbeat(22*second, 22*second)
	if id, ok := d.unanswered(); !ok || id != 7 {
		t.Error("a node that has waited does not vouch")
	}
	d.note(note{noteAnswer, 7}, 22*second)
	if _, ok := d.unanswered(); ok {
		t.Error("a question is answered twice")
	}
}

func TestDoubtAnswer(t *testing.T) {
	d := &doubt{self: 1, settle: 5 * second}
	d.note(note{noteQuestion, 7}, second) // of before: the data may have been put back
	d.heartbeat(9*second, 10*second)
	d.note(note{noteAnswer, 7}, 11*second)
	if d.heartbeat(11*second, 11*second) {
		t.Error("an old answer counts")
	}
	if _, asks := d.question(10 * second); !asks {
		t.Error("nothing is asked")
	}
	d.note(note{noteQuestion, 8}, 11*second)
	if _, asks := d.question(10 * second); asks {
		t.Error("what another has just asked is asked again")
	}
	d.note(note{noteRepairing, 2}, 11*second)
	d.note(note{noteAnswer, 8}, 12*second)
	if !d.heartbeat(11*second, 12*second) {
		t.Error("an answer does not count")
	}
	if _, asks := d.question(20 * second); asks {
		t.Error("a node asks that knows")
	}
	early := &doubt{self: 1, settle: 5 * second}
	if _, asks := early.question(-second); !asks {
		t.Error("nothing is asked at first")
	}
	if _, asks := early.question(-second); asks {
		t.Error("it is asked again and again before it can be answered")
	}
	for id := range uint64(10 * maxLive) {
		d.note(note{noteQuestion, 10 + id}, 13*second)
	}
	if len(d.live) > maxLive {
		t.Errorf("%d questions are remembered", len(d.live))
	}
}

// Of many that repair, two at a time say so: each of them hears the other.
func TestDoubtSaid(t *testing.T) {
	d := told(0)
	d.note(note{noteRepairing, 2}, 12*second)
	d.note(note{noteRepairing, 2}, 13*second)
	if d.said(11 * second) {
		t.Error("one is taken for two")
	}
	d.note(note{noteRepairing, 3}, 13*second)
	if !d.said(13*second) || d.said(14*second) {
		t.Error("what two have said is not known")
	}
}

func TestNote(t *testing.T) {
	n, ok := parseNote(note{noteAnswer, 1 << 63}.encode())
	if !ok || n != (note{noteAnswer, 1 << 63}) {
		t.Errorf("a note came back as %v", n)
	}
	for _, b := range [][]byte{nil, {}, {'r'}, make([]byte, noteSize+1)} {
		if _, ok := parseNote(b); ok {
			t.Errorf("%v is taken for a note", b)
		}
	}
}
