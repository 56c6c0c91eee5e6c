//go:build !asan

package cmemory

// Leaks returns false: it cannot detect leaks without the address sanitizer.
func Leaks() bool { return false }
