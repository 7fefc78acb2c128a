#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "core/error.h"
#include "fuzz_safetensors.h"
#include "weights/checkpoint.h"
#include "weights/owned_bytes.h"
#include "weights/safetensors.h"

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

void check_ranges(const sdxl::SafetensorsHeader& header, std::size_t size) {
    std::uint64_t at = 0;
    for (const auto& tensor : header.tensors) {
        require(tensor.begin == at && tensor.end >= tensor.begin);
        const auto elements = static_cast<std::uint64_t>(tensor.shape.numel());
        require(tensor.end - tensor.begin == elements * sdxl::dtype_size(tensor.dtype));
        at = tensor.end;
    }
    require(header.data_offset + at == size);
}

// Looks at the ends of every view, so that a sanitizer sees one that leaves the file.
void touch(const sdxl::WeightMap& map) {
    for (const auto& [name, entry] : map.entries()) {
        const std::size_t bytes = entry.view.bytes();
        if (bytes == 0) continue;
        const volatile std::byte first = entry.view.data[0];
        const volatile std::byte last = entry.view.data[bytes - 1];
        (void)first;
        (void)last;
    }
}

}  // namespace

void check_safetensors(const std::uint8_t* data, std::size_t size) {
    using sdxl::ErrorCode;
    const auto* begin = reinterpret_cast<const std::byte*>(data);
    const auto bytes =
        std::make_shared<const sdxl::OwnedBytes>("fuzz", std::vector<std::byte>(begin, begin + size));
    try {
        const auto header = sdxl::parse_safetensors(bytes->bytes(), bytes->path());
        check_ranges(header, size);
        const auto tensors = sdxl::tensors_of(header, bytes->bytes(), bytes);
        require(tensors.size() == header.tensors.size());
        const auto model = sdxl::read_single_file(tensors, header.metadata, "fuzz");
        for (const auto* map : {&model.unet, &model.vae, &model.text_encoder, &model.text_encoder_2})
            touch(*map);
    } catch (const sdxl::Failure& failure) {
        const ErrorCode code = failure.error().code;
        require(code == ErrorCode::kInvalidModel || code == ErrorCode::kUnsupported);
    }
}
