// Package cmemory lets tests see what C has allocated: Go's tests cannot use cgo
// themselves.
package cmemory

// #include <malloc.h>
import "C"

// InUse is how many bytes C holds.
func InUse() int {
	info := C.mallinfo2()
	return int(info.uordblks + info.hblkhd)
}
