package vmaf

/*
#include <stdlib.h>
#include <libvmaf/libvmaf.h>
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// Model is one model, or a collection of them that also tells how sure it is.
type Model struct {
	// Series is the model's score.
	Series string
	// Stddev, Low and High are the spread of a collection, empty without one.
	Stddev, Low, High string

	model      *C.VmafModel
	collection *C.VmafModelCollection
	next       int
}

// LoadBuiltIn loads a model that is part of the library. The series must be
// another one for each model of a context.
func LoadBuiltIn(name, series string) (*Model, error) { return load(name, series, false) }

// LoadFile loads a model from a .json file.
func LoadFile(path, series string) (*Model, error) { return load(path, series, true) }

func load(name, series string, file bool) (*Model, error) {
	cName, cSeries := C.CString(name), C.CString(series)
	defer C.free(unsafe.Pointer(cName))
	defer C.free(unsafe.Pointer(cSeries))
	cfg := (*C.VmafModelConfig)(C.calloc(1, C.sizeof_VmafModelConfig))
	defer C.free(unsafe.Pointer(cfg))
	cfg.name = cSeries

	var model *C.VmafModel
	var code C.int
	if file {
		code = C.vmaf_model_load_from_path(&model, cfg, cName)
	} else {
		code = C.vmaf_model_load(&model, cfg, cName)
	}
	if code == 0 {
		return &Model{Series: series, model: model}, nil
	}
	// What a failed load allocated is the caller's. Only the JSON tells a
	// collection from a model, so the other loader is tried. (Of a collection
	// with a broken member libvmaf 3.2.0 itself loses 2 KB; its user cannot free it.)
	C.vmaf_model_destroy(model)
	model = nil
	var collection *C.VmafModelCollection
	if file {
		code = C.vmaf_model_collection_load_from_path(&model, &collection, cfg, cName)
	} else {
		code = C.vmaf_model_collection_load(&model, &collection, cfg, cName)
	}
	m := &Model{
		Series: series + "_bagging",
		Stddev: series + "_stddev", Low: series + "_ci_p95_lo", High: series + "_ci_p95_hi",
		model: model, collection: collection,
	}
	if code != 0 {
		m.Close()
		return nil, check(fmt.Sprintf("load model %q", name), code)
	}
	return m, nil
}

// Close frees the model, after the contexts that use it.
func (m *Model) Close() {
	C.vmaf_model_collection_destroy(m.collection)
	C.vmaf_model_destroy(m.model)
	m.model, m.collection = nil, nil
}

// cost is an upper bound of the series a model adds: its features and scores.
func (m *Model) cost() int {
	if m.collection != nil {
		return 20 + 4 + 12
	}
	return 1 + 16
}

// Predict computes the model's score of the next frame that has none, which must
// be index, and tells whether its features were known.
func (m *Model) Predict(x *Context, index int) bool {
	if index < m.next {
		return true // a collection's score cannot be written twice
	}
	var code C.int
	if m.collection != nil {
		var score C.VmafModelCollectionScore
		code = C.vmaf_score_at_index_model_collection(x.c, m.collection, &score, C.unsigned(index))
	} else {
		var score C.double
		code = C.vmaf_score_at_index(x.c, m.model, &score, C.unsigned(index))
	}
	if code == 0 {
		m.next = index + 1
	}
	return code == 0
}
