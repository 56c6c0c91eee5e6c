// Package archive writes the tree of a cache mount as a tar file compressed by zstd, and reads it
// back.
//
// Owners, modes, times to the nanosecond, hard links and symbolic links are kept; extended
// attributes are not. The names are sorted, so that equal trees have equal archives.
package archive

import "fmt"

// Incoming is the directory in a mount in which a load extracts an archive. It is not archived.
const Incoming = ".vmaf-incoming"

// small is the size in bytes up to which files are read and written by several goroutines; most
// of the time of such a file is the wait for the file system.
const small = 256 << 10

// workers is the number of these goroutines.
const workers = 4

// Totals counts the files of a tree, links included, and the bytes of their contents.
type Totals struct {
	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"`
}

// Report receives the totals so far.
type Report func(Totals)

func (t Totals) String() string { return fmt.Sprintf("%d files of %d bytes", t.Files, t.Bytes) }
