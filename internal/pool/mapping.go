package pool

import (
	"database/sql/driver"
	"reflect"
	"runtime"
	"sync"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// mappings have readers keep their mapping of the library file when somebody commits.
//
// SQLite gives a mapping up at each commit it has not seen, and maps the file anew. Searches then
// paid a page fault for each part of the file they touched: six milliseconds after each commit, fifteen
// times what a search for a rare word takes. It does so for systems where a file that was cut and has
// grown again may leave a mapping that looks right and is not. On Linux a shared mapping shows the
// file as it is, so there it stays; what the file has grown by since is read as without a mapping.
//
// The way is the one that SQLite has for extensions of its file system: each open file has a table
// of methods, which here is a copy with one other entry.
type mappings struct {
	release func(tls *libc.TLS, file uintptr, offset int64, page uintptr) int32 // the entry; only C memory refers to it else

	mu        sync.Mutex        // guards the fields below
	table     uintptr           // the copy; 0 before the first file
	of        uintptr           // what it is a copy of
	unmap     fileRelease       // of that
	fileSize  fileSizer         // of that
	sizeByMap map[uintptr]int64 // bytes of each file when it was mapped
}

// Methods of SQLite's files (sqlite3_io_methods), as the driver has them.
type (
	fileRelease func(tls *libc.TLS, file uintptr, offset int64, page uintptr) int32
	fileSizer   func(tls *libc.TLS, file, size uintptr) int32
)

// remapGrowth is the part of a file by which it may grow before it is mapped anew.
const remapGrowth = 8

func newMappings() *mappings {
	m := &mappings{sizeByMap: map[uintptr]int64{}}
	m.release = m.releasePage
	return m
}

// keep has a connection of the SQLite driver keep its mapping. It returns what forget wants, 0 when the
// connection stays as it is: on other systems, and with a driver that is built differently.
func (m *mappings) keep(c driver.Conn) (file uintptr) {
	db := sqliteHandle(c)
	if runtime.GOOS != "linux" || db == 0 {
		return 0
	}
	tls := libc.NewTLS()
	defer tls.Close()
	const word = int(unsafe.Sizeof(uintptr(0)))
	out := tls.Alloc(word)
	defer tls.Free(word)
	*at[uintptr](out) = 0
	if sqlite3.Xsqlite3_file_control(tls, db, 0, sqlite3.SQLITE_FCNTL_FILE_POINTER, out) != sqlite3.SQLITE_OK {
		return 0
	}
	file = *at[uintptr](out)
	if file == 0 {
		return 0
	}
	methods := at[uintptr](file) // the first field of a file
	table := m.tableFor(tls, *methods)
	if table == 0 {
		return 0
	}
	*methods = table
	return file
}

// tableFor returns the copy of a table of methods, 0 when it cannot be used.
func (m *mappings) tableFor(tls *libc.TLS, methods uintptr) uintptr {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.table == 0 && methods != 0 {
		theirs := at[sqlite3.Tsqlite3_io_methods](methods)
		if theirs.FiVersion < 3 || theirs.FxUnfetch == 0 || theirs.FxFileSize == 0 {
			return 0 // a file that is never mapped
		}
		table := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(*theirs)))
		if table == 0 {
			return 0
		}
		ours := at[sqlite3.Tsqlite3_io_methods](table)
		*ours = *theirs
		ours.FxUnfetch = *(*uintptr)(unsafe.Pointer(&m.release))
		m.table, m.of = table, methods
		m.unmap, m.fileSize = function[fileRelease](theirs.FxUnfetch), function[fileSizer](theirs.FxFileSize)
	}
	if methods != m.of {
		return 0
	}
	return m.table
}

// releasePage gives a page of the mapping back, or with page 0 the whole mapping, when the file has outgrown it.
func (m *mappings) releasePage(tls *libc.TLS, file uintptr, offset int64, page uintptr) int32 {
	if page == 0 && m.fits(tls, file) {
		return sqlite3.SQLITE_OK
	}
	return m.unmap(tls, file, offset, page)
}

// fits reports whether the mapping of the file still covers most of it. When not, it is taken to be mapped anew.
func (m *mappings) fits(tls *libc.TLS, file uintptr) bool {
	const bytes = 8
	out := tls.Alloc(bytes)
	defer tls.Free(bytes)
	if m.fileSize(tls, file, out) != sqlite3.SQLITE_OK {
		return false
	}
	size := *at[int64](out)
	m.mu.Lock()
	defer m.mu.Unlock()
	mapped, known := m.sizeByMap[file]
	if known && size >= mapped && size-mapped <= mapped/remapGrowth {
		return true
	}
	m.sizeByMap[file] = size
	return false
}

// forget takes note that the connection of a file is closed.
func (m *mappings) forget(file uintptr) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sizeByMap, file)
}

// sqliteHandle returns the address of SQLite's connection behind one of the driver, which keeps it to itself,
// and 0 when it cannot be found.
func sqliteHandle(c driver.Conn) uintptr {
	v := reflect.ValueOf(c)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return 0
	}
	handle := v.Elem().FieldByName("db")
	if handle.Kind() != reflect.Uintptr {
		return 0
	}
	return uintptr(handle.Uint())
}

// at is memory of SQLite's, at an address that the Go runtime knows nothing of.
func at[T any](address uintptr) *T { return *(**T)(unsafe.Pointer(&address)) }

// function is one of the driver's, which keeps functions in memory of SQLite's by their address.
func function[F any](address uintptr) F { return *(*F)(unsafe.Pointer(&address)) }
