//go:build asan

package cmemory

// #include <sanitizer/lsan_interface.h>
import "C"

// Leaks reports whether C memory has leaked, that is, whether no pointer to it is left.
// The address sanitizer prints where that memory was allocated.
func Leaks() bool { return C.__lsan_do_recoverable_leak_check() != 0 }
