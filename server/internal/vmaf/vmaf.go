// Package vmaf binds libvmaf: one Context scores one pair of videos.
//
// Memory on the C side is freed by Close, of the Context first and of its models
// after it, whatever failed before. A Context belongs to one goroutine, but for
// Predict and Score, which another one may call while frames are still read.
package vmaf

/*
#cgo pkg-config: libvmaf
#include <malloc.h>
#include <stdlib.h>
#include <libvmaf/libvmaf.h>
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// maxSeries is how many named series a Context may hold. libvmaf 3.2.0 writes
// past the end of its list when it grows beyond 128.
const maxSeries = 128

// Version is the library's own.
func Version() string { return C.GoString(C.vmaf_version()) }

// ReturnMemory has C's allocator give large blocks back to the system when they
// are freed: a server that has scored a large video needs no more than before.
func ReturnMemory() { C.mallopt(C.M_MMAP_THRESHOLD, 256<<10) }

// Error is what a call of libvmaf said; it gives no more than a number.
type Error struct {
	Op   string
	Code int
}

func (e *Error) Error() string { return fmt.Sprintf("libvmaf: %s: error %d", e.Op, e.Code) }

func check(op string, code C.int) error {
	if code != 0 {
		return &Error{op, int(code)}
	}
	return nil
}

// Pooling is how the scores of frames become one number.
type Pooling int

// The methods of libvmaf.
const (
	Mean Pooling = iota
	HarmonicMean
	Min
	Max
)

var poolMethods = [...]C.enum_VmafPoolingMethod{
	Mean:         C.VMAF_POOL_METHOD_MEAN,
	HarmonicMean: C.VMAF_POOL_METHOD_HARMONIC_MEAN,
	Min:          C.VMAF_POOL_METHOD_MIN,
	Max:          C.VMAF_POOL_METHOD_MAX,
}

// Context is one scoring.
type Context struct {
	c      *C.VmafContext
	series int
}

// New starts a scoring with a number of worker threads, none scoring in the
// caller's, of every frame whose index subsample divides.
func New(threads, subsample int) (*Context, error) {
	x := &Context{}
	err := check("init", C.vmaf_init(&x.c, C.VmafConfiguration{
		log_level:   C.VMAF_LOG_LEVEL_NONE,
		n_threads:   C.unsigned(threads),
		n_subsample: C.unsigned(subsample),
	}))
	if err != nil {
		return nil, err
	}
	return x, nil
}

// Close waits for the workers and frees the context. Every picture that was
// fetched must have been given to Read or released.
func (x *Context) Close() {
	if x.c != nil {
		C.vmaf_close(x.c)
		x.c = nil
	}
}

// Use has the context compute what a model needs. The model must outlive it.
func (x *Context) Use(m *Model) error {
	if err := x.reserve(m.cost()); err != nil {
		return err
	}
	if m.collection != nil {
		return check("use model collection", C.vmaf_use_features_from_model_collection(x.c, m.collection))
	}
	return check("use model", C.vmaf_use_features_from_model(x.c, m.model))
}

// UseFeature has the context compute a feature of those in Features.
func (x *Context) UseFeature(name string) error {
	if err := x.reserve(len(Features[name]) + 1); err != nil {
		return err
	}
	s := C.CString(name)
	defer C.free(unsafe.Pointer(s))
	return check("use feature "+name, C.vmaf_use_feature(x.c, s, nil))
}

func (x *Context) reserve(n int) error {
	if x.series += n; x.series > maxSeries {
		return fmt.Errorf("these models and features are %d series, libvmaf holds %d", x.series, maxSeries)
	}
	return nil
}

// Read hands a pair of pictures over; it releases them, also where it fails.
func (x *Context) Read(ref, dist *Picture, index int) error {
	err := check("read pictures", C.vmaf_read_pictures(x.c, &ref.c, &dist.c, C.unsigned(index)))
	// After an error libvmaf may still leave them to the caller, and would wait
	// for them forever on close.
	ref.Release()
	dist.Release()
	return err
}

// Flush ends the reading.
func (x *Context) Flush() error {
	return check("flush", C.vmaf_read_pictures(x.c, nil, nil, 0))
}

// Score returns the value of a series at a frame, and whether it is known yet.
func (x *Context) Score(series string, index int) (float64, bool) {
	s := C.CString(series)
	defer C.free(unsafe.Pointer(s))
	var v C.double
	ok := C.vmaf_feature_score_at_index(x.c, s, &v, C.unsigned(index)) == 0
	return float64(v), ok
}

// Pooled returns a series pooled over the frames from 0 to last.
func (x *Context) Pooled(series string, method Pooling, last int) (float64, error) {
	s := C.CString(series)
	defer C.free(unsafe.Pointer(s))
	var v C.double
	err := check("pool "+series, C.vmaf_feature_score_pooled(x.c, s, poolMethods[method], &v, 0, C.unsigned(last)))
	return float64(v), err
}
