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

// Model is a model or a collection of models. A collection also computes a confidence
// interval of its score.
type Model struct {
	// Series is the ID of the score's series.
	Series string
	// Stddev, Low and High are the IDs of a collection's standard deviation and confidence
	// interval. They are empty for a single model.
	Stddev, Low, High string

	model      *C.VmafModel
	collection *C.VmafModelCollection
	next       int
}

// LoadBuiltIn loads a model that is built into libvmaf. The prefix of its series is series,
// which must be unique among the models of a Context.
func LoadBuiltIn(name, series string) (*Model, error) { return load(name, series, false) }

// LoadFile loads a model from a .json file. See LoadBuiltIn for series.
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
	// The caller must free what a failed load allocated. Whether a file is a model or a
	// collection is known only from its JSON, so try to load it as a collection next.
	// If a member of a collection is broken, libvmaf 3.2.0 leaks 2 KB, which the caller
	// cannot free.
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

// Close frees the model. The contexts that use it must be closed first.
func (m *Model) Close() {
	C.vmaf_model_collection_destroy(m.collection)
	C.vmaf_model_destroy(m.model)
	m.model, m.collection = nil, nil
}

// cost returns an upper bound of the number of series that a model adds to a context, for
// its features and scores.
func (m *Model) cost() int {
	if m.collection != nil {
		return 20 + 4 + 12
	}
	return 1 + 16
}

// Predict computes the model's score of the frame at index, and reports whether the score is
// known. It is not known before the frame's features are. Frames must be predicted in order.
func (m *Model) Predict(x *Context, index int) bool {
	if index < m.next {
		return true // libvmaf fails if a collection's score is computed twice.
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
