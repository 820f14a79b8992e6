package library

import (
	"errors"
	"fmt"
	"time"
)

// Codes of a BadInput. They are part of the API: clients branch on them.
const (
	CodeQueryEmpty      = "query_empty"            // no query, or only white space
	CodeQueryTooLong    = "query_too_long"         // more than MaxQueryBytes
	CodeQueryNoWords    = "query_without_words"    // neither a letter nor a digit in it
	CodePageRange       = "page_out_of_range"      // below 1
	CodePageSizeRange   = "page_size_out_of_range" // outside 1 … MaxPageSize
	CodePageTooDeep     = "page_too_deep"          // beyond MaxDepth; a cursor leads there
	CodeCursorInvalid   = "cursor_invalid"         // altered, or from another query or user
	CodeCursorExpired   = "cursor_expired"         // the library has changed since
	CodeConflict        = "conflicting_parameters" // two parameters that contradict each other
	CodeIDsEmpty        = "ids_empty"              // a batch without ids
	CodeIDsTooMany      = "ids_too_many"           // a batch of more than MaxBatch ids
	CodeTitleTooLong    = "title_too_long"         // more than MaxTitleBytes
	CodeAuthorTooLong   = "author_too_long"        // more than MaxTitleBytes
	CodeFileEmpty       = "file_empty"             // no bytes
	CodeFileTooLarge    = "file_too_large"         // more bytes than Config.Extract allows
	CodeFileNotText     = "file_not_text"          // binary, or not UTF-8
	CodeFileUnsupported = "file_unsupported"       // a format that is told but not read, as PDF
	CodeArchiveBroken   = "archive_broken"         // an EPUB that cannot be unpacked
	CodeArchiveBomb     = "archive_bomb"           // an EPUB that unpacks beyond its bounds
	CodeNoText          = "no_text"                // a whole file without a sentence
)

// BadInput says what is wrong with a caller's input. Code is one of the Code
// constants, Message a sentence for people, without a capital or full stop, that
// names the parameter and its range.
type BadInput struct{ Code, Message string }

func (e *BadInput) Error() string { return e.Message }

func badInput(code, format string, args ...any) error {
	return &BadInput{Code: code, Message: fmt.Sprintf(format, args...)}
}

// ErrNotYours is returned when a caller would change what the caller may only read.
var ErrNotYours = errors.New("in the shared library, not the caller's own")

// ErrBusy is matched by a BusyError: too many ingests are under way already.
var ErrBusy = errors.New("too many ingests under way")

// Reasons of a BusyError.
const (
	ReasonQueueFull = "queue_full"
	ReasonTimeout   = "timeout"
)

// BusyError says which bound on concurrent ingests refused one. It wraps ErrBusy.
type BusyError struct {
	Reason       string        // ReasonQueueFull or ReasonTimeout
	Setting      string        // the setting that moves the bounds
	Slots, Queue int           // the bounds: ingests at once, and waiting for them
	Waited       time.Duration // how long this one waited
}

func (e *BusyError) Error() string {
	if e.Reason == ReasonQueueFull {
		return fmt.Sprintf("%v: all %d ingest slots (%s) are taken and %d ingests wait for one, as many as may", ErrBusy, e.Slots, e.Setting, e.Queue)
	}
	return fmt.Sprintf("%v: waited %v for one of %d ingest slots (%s)", ErrBusy, e.Waited.Round(time.Millisecond), e.Slots, e.Setting)
}

// Unwrap returns ErrBusy.
func (e *BusyError) Unwrap() error { return ErrBusy }
