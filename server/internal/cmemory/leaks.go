//go:build asan

package cmemory

// #include <sanitizer/lsan_interface.h>
import "C"

// Leaks tells whether C memory is lost: no pointer to it is left, and the
// address sanitizer has written where it was allocated.
func Leaks() bool { return C.__lsan_do_recoverable_leak_check() != 0 }
