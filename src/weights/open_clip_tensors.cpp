#include "weights/open_clip_tensors.h"

#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "weights/component_names.h"
#include "weights/owned_bytes.h"

namespace sdxl {
namespace {

// Third `index` of the stacked rows [3c, ...] as [c, ...].
HostView third(const HostView& stacked, int index) {
    std::vector<std::int64_t> dims = stacked.shape.dims();
    dims[0] /= 3;
    HostView view{nullptr, stacked.dtype, Shape(std::move(dims)), stacked.name};
    view.data = stacked.data + static_cast<std::size_t>(index) * view.bytes();
    return view;
}

void insert_query_key_value(WeightMap& map, const std::string& pattern, const FileTensor& tensor) {
    const Shape& shape = tensor.view.shape;
    if (shape.rank() == 0 || shape[0] % 3 != 0)
        fail(ErrorCode::kInvalidModel, "'" + tensor.bytes->path() + "': tensor " +
                                           quoted_name(tensor.view.name) + " has shape " + shape.str() +
                                           ", expected rows of query, key and value");
    const std::size_t hole = pattern.find("{}");
    for (int i = 0; i < 3; ++i) {
        std::string name = pattern;
        map.insert(name.replace(hole, 2, 1, "qkv"[i]), third(tensor.view, i), tensor.bytes);
    }
}

}  // namespace

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
