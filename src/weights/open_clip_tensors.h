// OpenCLIP's tensors under transformers' names: matrices that are stacked are taken apart, what lies the
// other way round is turned.
#pragma once

#include "weights/clip_names.h"
#include "weights/safetensors.h"
#include "weights/weight_scope.h"

namespace sdxl {

// Fails with kInvalidModel, naming the tensor, if its shape does not fit its part.
void insert_open_clip(WeightMap& map, const ClipName& name, const FileTensor& tensor);

}  // namespace sdxl
