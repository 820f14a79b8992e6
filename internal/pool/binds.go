package pool

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
)

// ErrBinds is matched by array binds that are refused before the driver sees them.
var ErrBinds = errors.New("array binds do not fit together")

// checkArrays refuses array binds that are empty, on which go-ora panics, or of different
// lengths, which it cuts to the shortest and says nothing.
func checkArrays(args []driver.NamedValue) error {
	rows, first := -1, 0
	for _, a := range args {
		n, array := arrayLen(a.Value)
		switch {
		case !array:
			continue
		case n == 0:
			return fmt.Errorf("%w: bind %d is empty", ErrBinds, a.Ordinal)
		case rows < 0:
			rows, first = n, a.Ordinal
		case n != rows:
			return fmt.Errorf("%w: bind %d has %d rows, bind %d has %d", ErrBinds, first, rows, a.Ordinal, n)
		}
	}
	if rows < 0 {
		return nil
	}
	for _, a := range args {
		if _, array := arrayLen(a.Value); !array {
			return fmt.Errorf("%w: bind %d has %d rows, bind %d is a single value", ErrBinds, first, rows, a.Ordinal)
		}
	}
	return nil
}

// checkNoArrays refuses slices in a query: no Oracle driver binds a list to IN (…).
func checkNoArrays(args []driver.NamedValue) error {
	for _, a := range args {
		if _, array := arrayLen(a.Value); array {
			return fmt.Errorf("%w: bind %d of a query is an array", ErrBinds, a.Ordinal)
		}
	}
	return nil
}

// arrayLen tells whether go-ora takes v for the rows of an array bind, and how many they are.
func arrayLen(v any) (n int, array bool) {
	if v == nil {
		return 0, false
	}
	if _, bytes := v.([]byte); bytes {
		return 0, false
	}
	if _, value := v.(driver.Valuer); value {
		return 0, false
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Slice, reflect.Array:
		return r.Len(), true
	}
	return 0, false
}
