// Any bytes as a control model's file: read, merged where it is a control-LoRA, and its configuration told
// from names and shapes; or refused with an honest code. No view leaves the file.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "core/error.h"
#include "models/controlnet_config.h"
#include "models/t2i_adapter.h"
#include "weights/control_file.h"
#include "weights/control_lora.h"
#include "weights/finite_check.h"
#include "weights/owned_bytes.h"
#include "weights/safetensors.h"

namespace {

using sdxl::Shape;

// A base model that fits most differences: as many rows as up has, the rest as down.
sdxl::WeightMap base_of(const sdxl::ControlCheckpoint& control) {
    constexpr std::int64_t kMost = 4096;
    static const auto zeros =
        std::make_shared<const sdxl::OwnedBytes>("base", std::vector<std::byte>(kMost * sizeof(float)));
    sdxl::WeightMap base("unet");
    for (const auto& [name, difference] : control.differences) {
        const Shape& up = difference.up.view.shape;
        const Shape& down = difference.down.view.shape;
        if (up.rank() == 0 || down.rank() == 0 || up[0] <= 0 || down[0] <= 0) continue;
        const std::int64_t columns = down.numel() / down[0];
        if (up[0] > kMost || columns > kMost || up[0] * columns > kMost) continue;
        std::vector<std::int64_t> dims = down.dims();
        dims[0] = up[0];
        base.insert(name, {zeros->bytes().data(), sdxl::DType::kF32, Shape(dims), name}, zeros);
    }
    return base;
}

void read(const std::shared_ptr<const sdxl::OwnedBytes>& bytes) {
    const auto header = sdxl::parse_safetensors(bytes->bytes(), bytes->path());
    sdxl::ControlCheckpoint control =
        sdxl::read_control(sdxl::tensors_of(header, bytes->bytes(), bytes), bytes->path());
    const sdxl::CancelToken token;
    if (control.kind == sdxl::ControlKind::kControlLora)
        sdxl::merge_control_lora(control, base_of(control), sdxl::plain_product, sdxl::DType::kBF16, token);
    sdxl::require_finite(control.weights, token);
    if (control.kind == sdxl::ControlKind::kT2IAdapter)
        sdxl::detect_t2i_adapter_config(control.weights);
    else
        sdxl::detect_controlnet_config(control.weights);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto* begin = reinterpret_cast<const std::byte*>(data);
    try {
        read(std::make_shared<const sdxl::OwnedBytes>("fuzz", std::vector<std::byte>(begin, begin + size)));
    } catch (const sdxl::Failure& failure) {
        const auto code = failure.error().code;
        if (code != sdxl::ErrorCode::kInvalidModel && code != sdxl::ErrorCode::kUnsupported) std::abort();
    }
    return 0;
}
