// Entry point of libFuzzer; built where the compiler brings it (clang).
#include "fuzz_safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    check_safetensors(data, size);
    return 0;
}
