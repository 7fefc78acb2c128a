#include "pipeline/control_model.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "core/error.h"
#include "ops/ops.h"
#include "pipeline/unused_weights.h"
#include "weights/control_lora.h"
#include "weights/finite_check.h"

namespace sdxl {
namespace {

using Network = std::variant<ControlNetModel, T2IAdapter>;

Network make_network(const LoadContext& load, const ControlCheckpoint& file) {
    if (file.kind == ControlKind::kT2IAdapter) {
        const T2IAdapterConfig config = detect_t2i_adapter_config(file.weights);
        if (!file.config.empty()) check_against_json(config, file.config);
        return Network(std::in_place_type<T2IAdapter>, load, file.weights, config);
    }
    ControlNetConfig config = detect_controlnet_config(file.weights);
    if (!file.config.empty()) config = check_against_json(config, file.config);
    return Network(std::in_place_type<ControlNetModel>, load, file.weights, config);
}

// [rank, columns] -> [columns, rank]
std::vector<float> transposed(std::span<const float> values, std::size_t rank, std::size_t columns) {
    std::vector<float> result(values.size());
    for (std::size_t k = 0; k < rank; ++k)
        for (std::size_t column = 0; column < columns; ++column)
            result[column * rank + k] = values[k * columns + column];
    return result;
}

// The backend's product in float32: x W^T with the rows of `up` as x and `down` transposed as W.
MatrixProduct product_of(Backend& backend) {
    return [&backend](std::span<const float> up, std::span<const float> down, const ProductExtents& extents) {
        const Context ctx{backend, DType::kF32};
        const auto weight = transposed(down, static_cast<std::size_t>(extents.rank),
                                       static_cast<std::size_t>(extents.columns));
        const HostView view{reinterpret_cast<const std::byte*>(weight.data()), DType::kF32,
                            Shape{extents.columns, extents.rank}, "down"};
        const auto packed = ops::prepare_linear({backend, DType::kF32}, {{view}, {}});
        const Tensor x = ops::upload(ctx, up, {extents.rows, extents.rank});
        return ops::download(ctx, ops::linear(ctx, x, packed));  // [rows, columns]
    };
}

struct UnionType {
    std::string_view name;
    int type;
};
// Each number's first name stands before its others.
constexpr std::array<UnionType, 22> kUnionTypes{{
    {"openpose", 0}, {"pose", 0},    {"dwpose", 0},  {"depth", 1},        {"hed", 2},
    {"softedge", 2}, {"pidi", 2},    {"pidinet", 2}, {"scribble", 2},     {"ted", 2},
    {"teed", 2},     {"canny", 3},   {"lineart", 3}, {"animelineart", 3}, {"mlsd", 3},
    {"normal", 4},   {"segment", 5}, {"seg", 5},     {"segmentation", 5}, {"tile", 6},
    {"repaint", 7},  {"inpaint", 7},
}};

}  // namespace

ControlModel::ControlModel(const LoadContext& load, const ControlCheckpoint& file)
    : path_(file.path),
      kind_(file.kind),
      compute_(load.compute),
      weight_bytes_(file.weights.total_bytes()),
      network_(make_network(load, file)) {}

std::shared_ptr<const ControlModel> load_control_model(const std::filesystem::path& path,
                                                       const WeightMap* base_unet, Backend& backend,
                                                       DType compute, const CancelToken& cancel,
                                                       std::vector<std::string>& warnings) {
    ControlCheckpoint file = open_control(path);
    if (file.kind == ControlKind::kControlLora) {
        if (base_unet == nullptr)
            fail(ErrorCode::kInvalidRequest,
                 "'" + path.string() +
                     "' is a control-LoRA, which is nothing without the base model that it "
                     "changes: name a model beside it");
        const DType stored = compute == DType::kBF16 ? DType::kBF16 : DType::kF32;
        merge_control_lora(file, *base_unet, product_of(backend), stored, cancel);
    }
    require_finite(file.weights, cancel);
    file.weights.set_observer([&cancel](std::uint64_t, std::uint64_t) { cancel.check(); });
    auto model = std::make_shared<ControlModel>(LoadContext{backend, compute}, file);
    warnings = file.warnings;
    warn_unused(file.weights, warnings);
    return model;
}

std::optional<int> union_type_of(std::string_view name) {
    std::string plain;
    for (const char c : name)
        if (c != '_' && c != '-' && c != ' ')
            plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    for (const UnionType& known : kUnionTypes)
        if (plain == known.name) return known.type;
    return std::nullopt;
}

std::vector<std::string_view> union_type_names() {
    std::vector<std::string_view> names;
    for (const UnionType& known : kUnionTypes)
        if (known.type == static_cast<int>(names.size())) names.push_back(known.name);
    return names;
}

}  // namespace sdxl
