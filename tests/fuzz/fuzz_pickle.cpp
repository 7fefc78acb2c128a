// Any bytes as a file of PyTorch's: every tensor's bytes can be read, or the file is refused as a broken one
// or as one that holds something else.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "core/error.h"
#include "weights/owned_bytes.h"
#include "weights/torch_file.h"

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto* begin = reinterpret_cast<const std::byte*>(data);
    const auto bytes =
        std::make_shared<const sdxl::OwnedBytes>("fuzz", std::vector<std::byte>(begin, begin + size));
    try {
        const auto tensors = sdxl::read_torch_tensors(bytes->bytes(), bytes);
        require(!tensors.empty());
        unsigned sum = 0;
        for (const auto& [name, tensor] : tensors) {
            require(tensor.view.shape.numel() >= 0 && tensor.view.bytes() <= size);
            for (std::size_t i = 0; i < tensor.view.bytes(); ++i)
                sum += std::to_integer<unsigned>(tensor.view.data[i]);
        }
        volatile unsigned read = sum;
        (void)read;
    } catch (const sdxl::Failure& failure) {
        const auto code = failure.error().code;
        require(code == sdxl::ErrorCode::kInvalidModel || code == sdxl::ErrorCode::kUnsupported);
    }
    return 0;
}
