package sandbox

import "unsafe"

// pointer returns an address for a system call.
func pointer[T any](value *T) uintptr { return uintptr(unsafe.Pointer(value)) }
