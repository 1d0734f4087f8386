package boltstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// frame is what one commit appends to the journal. It is encoded as
//
//	checksum   4 bytes, CRC-32C of all that follows, and of a seed before it
//	length     4 bytes, of the body
//	number     8 bytes, one more than that of the frame before
//	body       the length of the cursor and one as a uvarint, or 0 if there is
//	           none; the cursor; and each entry ([revocation.AppendEntry])
//
// in big-endian order. Whatever a crash leaves of one has no such checksum; nor has,
// where the seed is a secret, what somebody has put into a value so that it looks like one.
type frame struct {
	number  uint64
	cursor  []byte // nil if it stays
	entries []entry
}

const frameHeader = 4 + 4 + 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendTo appends the frame to b.
func (f *frame) appendTo(b []byte, seed uint32) []byte {
	start := len(b)
	b = append(b, make([]byte, frameHeader)...)
	if f.cursor == nil {
		b = append(b, 0)
	} else {
		b = binary.AppendUvarint(b, uint64(len(f.cursor))+1)
		b = append(b, f.cursor...)
	}
	for i := range f.entries {
		b = revocation.AppendEntry(b, f.entries[i].key, f.entries[i].value)
	}
	header := b[start:]
	binary.BigEndian.PutUint32(header[4:], uint32(len(header)-frameHeader))
	binary.BigEndian.PutUint64(header[8:], f.number)
	binary.BigEndian.PutUint32(header, crc32.Update(seed, castagnoli, header[4:]))
	return b
}

// numberAt is the number of what may be a frame at the front of b, 0 if nothing is.
func numberAt(b []byte) uint64 {
	if len(b) < frameHeader {
		return 0
	}
	return binary.BigEndian.Uint64(b[8:])
}

// frameAt is the frame at the front of b, and its length there; 0 if there is none.
func frameAt(b []byte, seed uint32) (number uint64, body []byte, length int) {
	if number = numberAt(b); number == 0 {
		return 0, nil, 0
	}
	size := uint64(binary.BigEndian.Uint32(b[4:]))
	if size > uint64(len(b)-frameHeader) {
		return 0, nil, 0
	}
	length = frameHeader + int(size)
	if binary.BigEndian.Uint32(b) != crc32.Update(seed, castagnoli, b[4:length]) {
		return 0, nil, 0
	}
	return number, b[frameHeader:length], length
}

// parseBody reads the body of a frame.
func parseBody(b []byte) (f frame, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size)+1 {
		return f, fmt.Errorf("%w: the cursor in a frame of the journal is cut off", revocation.ErrCorrupt)
	}
	if b = b[size:]; n > 0 {
		f.cursor, b = bytes.Clone(b[:n-1]), b[n-1:]
	}
	for len(b) > 0 {
		var e entry
		var value []byte
		if e.key, value, b, err = revocation.CutEntry(b); err != nil {
			return f, fmt.Errorf("a frame of the journal: %w", err)
		}
		e.value = string(value)
		f.entries = append(f.entries, e)
	}
	return f, nil
}
