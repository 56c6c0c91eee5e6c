// Package vmaf is a binding of libvmaf. A Context scores one pair of videos.
//
// To free the memory of libvmaf, close the Context and then its models, also after an error.
// A Context is not safe for concurrent use, except that Predict and Score may be called from
// a second goroutine while the first one reads frames.
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

// maxSeries is the maximum number of series in a Context. With more than 128, libvmaf 3.2.0
// writes past the end of its list.
const maxSeries = 128

// Version returns the version of libvmaf.
func Version() string { return C.GoString(C.vmaf_version()) }

// ReturnMemory makes C's allocator return large blocks to the system when they are freed, so
// that the server's memory shrinks again after it has scored a large video.
func ReturnMemory() { C.mallopt(C.M_MMAP_THRESHOLD, 256<<10) }

// Error is a failed call of libvmaf. libvmaf returns only an error number.
type Error struct {
	Op   string
	Code int
}

func (e *Error) Error() string { return fmt.Sprintf("libvmaf: %s: error %d", e.Op, e.Code) }

func check(op string, code C.int) error {
	if code != 0 {
		return &Error{Op: op, Code: int(code)}
	}
	return nil
}

// Pooling is a method to combine the scores of all frames into one number.
type Pooling int

// The pooling methods of libvmaf.
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

// Context scores one pair of videos.
type Context struct {
	c      *C.VmafContext
	series int
}

// New returns a context that scores every frame whose index is a multiple of subsample, in
// the given number of worker threads. With 0 threads, Read scores in the caller's thread.
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

// Close waits for the worker threads and frees the context. All fetched pictures must have
// been passed to Read or released before.
func (x *Context) Close() {
	if x.c != nil {
		C.vmaf_close(x.c)
		x.c = nil
	}
}

// Use makes the context compute the features of a model. The model must not be closed before
// the context.
func (x *Context) Use(m *Model) error {
	if err := x.reserve(m.cost()); err != nil {
		return err
	}
	if m.collection != nil {
		return check("use model collection",
			C.vmaf_use_features_from_model_collection(x.c, m.collection))
	}
	return check("use model", C.vmaf_use_features_from_model(x.c, m.model))
}

// UseFeature makes the context compute a feature, which must be a key of Features.
func (x *Context) UseFeature(name string) error {
	if err := x.reserve(len(Features[name]) + 1); err != nil {
		return err
	}
	s := C.CString(name)
	defer C.free(unsafe.Pointer(s))
	return check("use feature "+name, C.vmaf_use_feature(x.c, s, nil))
}

// reserve counts n more series. It returns an error if there are too many.
func (x *Context) reserve(n int) error {
	if x.series += n; x.series > maxSeries {
		return fmt.Errorf("these models and features need %d series, but libvmaf supports %d",
			x.series, maxSeries)
	}
	return nil
}

// Read passes a pair of pictures to libvmaf and releases them, also if it fails.
func (x *Context) Read(ref, dist *Picture, index int) error {
	err := check("read pictures", C.vmaf_read_pictures(x.c, &ref.c, &dist.c, C.unsigned(index)))
	// After an error, the pictures may still belong to the caller. libvmaf would wait for
	// them forever in vmaf_close.
	ref.Release()
	dist.Release()
	return err
}

// Flush finishes the features that depend on later frames, after the last call of Read.
func (x *Context) Flush() error {
	return check("flush", C.vmaf_read_pictures(x.c, nil, nil, 0))
}

// Score returns the value of a series at a frame, and whether it is known.
func (x *Context) Score(series string, index int) (float64, bool) {
	s := C.CString(series)
	defer C.free(unsafe.Pointer(s))
	var v C.double
	ok := C.vmaf_feature_score_at_index(x.c, s, &v, C.unsigned(index)) == 0
	return float64(v), ok
}

// Pooled returns the pooled value of a series over the frames from 0 to last.
func (x *Context) Pooled(series string, method Pooling, last int) (float64, error) {
	s := C.CString(series)
	defer C.free(unsafe.Pointer(s))
	var v C.double
	err := check("pool "+series,
		C.vmaf_feature_score_pooled(x.c, s, poolMethods[method], &v, 0, C.unsigned(last)))
	return float64(v), err
}
