// mutate_safetensors [iterations] [seed]: the fuzzer's property over a fixed series of mutations of valid
// files, for any compiler.
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "core/error.h"
#include "fuzz_safetensors.h"
#include "model_builder.h"

namespace {

using Random = std::mt19937_64;

std::size_t below(Random& random, std::size_t bound) {
    return static_cast<std::size_t>(random() % bound);
}

void mutate_once(std::string& file, Random& random) {
    constexpr std::string_view kTokens[] = {"{",
                                            "}",
                                            "[",
                                            "]",
                                            ",",
                                            ":",
                                            "\"",
                                            "-1",
                                            "0",
                                            "1",
                                            "2",
                                            "6",
                                            "18446744073709551615",
                                            "9223372036854775807",
                                            "4294967296",
                                            "\"F16\"",
                                            "\"I64\"",
                                            "\"F8_E4M3\"",
                                            "null",
                                            "__metadata__",
                                            ".0.",
                                            ".1.",
                                            "input_blocks.",
                                            "999",
                                            "attn.in_proj_weight"};
    const std::size_t at = below(random, file.size());
    switch (below(random, 6)) {
        case 0:
            file[at] = static_cast<char>(random());
            break;
        case 1:
            file[at] = static_cast<char>(file[at] ^ (1 << below(random, 8)));
            break;
        case 2:
            file.erase(at, 1 + below(random, 8));
            break;
        case 3:
            file.insert(at, kTokens[below(random, std::size(kTokens))]);
            break;
        case 4: {
            const std::string_view token = kTokens[below(random, std::size(kTokens))];
            file.replace(at, token.size(), token);
            break;
        }
        default:
            file.insert(at, file.substr(below(random, file.size()), 1 + below(random, 64)));
    }
    if (file.empty()) file = "x";
}

// Writes the header's real length back, so that most mutations reach the JSON reader.
void repair_length(std::string& file, std::size_t data_bytes) {
    if (file.size() < 8 + data_bytes) return;
    const std::uint64_t length = file.size() - 8 - data_bytes;
    for (unsigned i = 0; i < 8; ++i) file[i] = static_cast<char>(length >> (8 * i) & 0xFFU);
}

}  // namespace

int main(int argc, char** argv) {
    const long iterations = argc > 1 ? std::stol(argv[1]) : 20000;
    Random random(argc > 2 ? std::stoull(argv[2]) : 1);
    using sdxl::testing::safetensors;
    const std::vector<std::string> seeds{
        safetensors(sdxl::testing::tiny_base()), safetensors(sdxl::testing::tiny_refiner()),
        safetensors({{"a", {2, 2}}, {"b", {3}, "F32"}}, R"({"format":"pt"})"), safetensors("{}", "")};
    for (const auto& seed : seeds)
        check_safetensors(reinterpret_cast<const std::uint8_t*>(seed.data()), seed.size());
    for (long i = 0; i < iterations; ++i) {
        std::string file = seeds[below(random, seeds.size())];
        std::uint64_t length = 0;
        for (unsigned k = 8; k-- > 0;) length = length << 8 | static_cast<unsigned char>(file[k]);
        const std::size_t data_bytes = file.size() - 8 - length;
        for (std::size_t n = 1 + below(random, 4); n > 0; --n) mutate_once(file, random);
        if (below(random, 8) != 0) repair_length(file, data_bytes);
        check_safetensors(reinterpret_cast<const std::uint8_t*>(file.data()), file.size());
    }
    std::printf("%ld mutated files, none broke the reader\n", iterations);
    return 0;
}
