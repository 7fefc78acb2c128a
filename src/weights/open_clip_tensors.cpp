#include "weights/open_clip_tensors.h"

#include "core/error.h"
#include "weights/component_names.h"
#include "weights/owned_bytes.h"

namespace sdxl {

void insert_open_clip(WeightMap& map, const ClipName& name, const FileTensor& tensor) {
    switch (name.part) {
        case ClipPart::kWhole:
            return insert_canonical(map, name.name, tensor);
        case ClipPart::kQueryKeyValue:
            return insert_query_key_value(map, name.name, tensor);
        case ClipPart::kTransposed:
            if (tensor.view.shape.rank() != 2)
                fail(ErrorCode::kInvalidModel, "'" + tensor.bytes->path() + "': tensor " +
                                                   quoted_name(tensor.view.name) + " has shape " +
                                                   tensor.view.shape.str() + ", expected a matrix");
            return insert_canonical(map, name.name, transposed_copy(tensor));
    }
}

}  // namespace sdxl
