package strictjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// Unmarshal reads the object that is all there is in b into the struct that into
// points to, whose fields have JSON names. Unlike json.Unmarshal it refuses members
// that stand twice, that are written in another case, that the struct does not
// have, that are null, and texts that are not valid Unicode. The error names the
// first that is wrong, by what the struct calls it.
func Unmarshal(b []byte, into any) error {
	v := reflect.ValueOf(into).Elem()
	known := fieldsOf(v.Type())
	var seen uint64
	var wrong error
	err := Each(b, func(name string, value json.RawMessage) {
		if wrong != nil {
			return
		}
		i, ok := known.index[name]
		switch {
		case !ok:
			wrong = fmt.Errorf("there is a member other than %s", known.names)
		case seen&(1<<i) != 0:
			wrong = fmt.Errorf("%q stands twice", name)
		default:
			if err := set(v.FieldByIndex(known.paths[i]), value); err != nil {
				wrong = fmt.Errorf("%q %w", name, err)
			}
			seen |= 1 << i
		}
	})
	if err != nil {
		return err
	}
	return wrong
}

func set(field reflect.Value, value json.RawMessage) error {
	if string(value) == "null" {
		return errors.New("must not be null")
	}
	if value[0] == '"' {
		text, ok := Text(value)
		switch {
		case !ok:
			return errors.New("is not valid Unicode")
		case field.Type() == reflect.TypeFor[string]():
			field.SetString(text)
			return nil
		}
	}
	if json.Unmarshal(value, field.Addr().Interface()) == nil {
		return nil
	}
	switch field.Type() {
	case reflect.TypeFor[string]():
		return errors.New("must be a string")
	case reflect.TypeFor[bool]():
		return errors.New("must be true or false")
	case reflect.TypeFor[uint64]():
		return errors.New("must be a whole number")
	}
	return errors.New("is not valid")
}

// fields are those of a struct with a JSON name, those of embedded structs
// included; at most 64.
type fields struct {
	index map[string]int
	paths [][]int
	names string // for people
}

var known sync.Map // reflect.Type: *fields

func fieldsOf(t reflect.Type) *fields {
	if f, ok := known.Load(t); ok {
		return f.(*fields)
	}
	f := &fields{index: map[string]int{}}
	var names []string
	for _, field := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" || field.Anonymous {
			continue
		}
		f.index[name] = len(f.paths)
		f.paths = append(f.paths, field.Index)
		names = append(names, name)
	}
	f.names = strings.Join(names, ", ")
	known.Store(t, f)
	return f
}
