// Package cmemory reports memory allocated by C code. Tests need it as a package because
// _test.go files cannot use cgo.
package cmemory

// #include <malloc.h>
import "C"

// InUse returns the number of bytes that C code has allocated and not freed.
func InUse() int {
	info := C.mallinfo2()
	return int(info.uordblks + info.hblkhd)
}
