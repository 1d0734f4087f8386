package cluster

import (
	"fmt"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// wireFormat is the first byte of encoded records.
const wireFormat = 1

// leastRecord is how many bytes a record takes at least.
const leastRecord = 50

// AppendRecords appends records as engines that carry bytes carry them: the
// format, then of each the key and, behind its length as a uvarint, the value.
func AppendRecords(b []byte, records []revocation.Record) []byte {
	b = append(b, wireFormat)
	for i := range records {
		b = appendRecord(b, &records[i])
	}
	return b
}

func appendRecord(b []byte, r *revocation.Record) []byte {
	var room [128]byte // for most
	return revocation.AppendEntry(b, r.Key, r.AppendValue(room[:0]))
}

// ParseRecords reads what [AppendRecords] wrote; the error is [ErrForeign].
func ParseRecords(b []byte) ([]revocation.Record, error) {
	if len(b) == 0 || b[0] != wireFormat {
		return nil, fmt.Errorf("%w: records in an unknown format", ErrForeign)
	}
	return appendParsed(make([]revocation.Record, 0, len(b)/leastRecord), b[1:])
}

// appendParsed appends the records that follow one another in b.
func appendParsed(records []revocation.Record, b []byte) ([]revocation.Record, error) {
	for len(b) > 0 {
		key, value, rest, err := revocation.CutEntry(b)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrForeign, err)
		}
		r, err := revocation.ParseRecord(key, value)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrForeign, err)
		}
		records, b = append(records, r), rest
	}
	return records, nil
}
