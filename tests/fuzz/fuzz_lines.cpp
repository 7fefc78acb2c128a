// Any bytes as a host's stream: the lines do not depend on how the bytes arrive, and they are what lies
// between line ends. The first two bytes say how long a line may be and how long the pieces are.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "transport/line_decoder.h"

namespace {

const std::string kTooLong = "\n";  // which no line can be

void require(bool holds) {
    if (!holds) std::abort();
}

void drain(sdxl::LineDecoder& decoder, std::vector<std::string>& lines) {
    while (auto line = decoder.next()) lines.push_back(line->ok() ? line->value() : kTooLong);
}

std::vector<std::string> decoded(std::string_view bytes, std::size_t piece, std::size_t most) {
    sdxl::LineDecoder decoder(most);
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        decoder.feed(bytes.substr(at, piece));
        drain(decoder, lines);
    }
    decoder.end();
    drain(decoder, lines);
    require(!decoder.next());
    return lines;
}

// The same, said simply.
std::vector<std::string> expected(std::string_view bytes, std::size_t most) {
    std::vector<std::string> lines;
    bool first = true;
    while (!bytes.empty()) {
        const std::size_t end = bytes.find('\n');
        std::string line(bytes.substr(0, end));
        bytes = end == std::string_view::npos ? std::string_view() : bytes.substr(end + 1);
        if (line.size() > most) {
            lines.push_back(kTooLong);
        } else {
            if (line.ends_with('\r')) line.pop_back();
            if (first && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
            if (line.find_first_not_of(" \t\r\n\v\f") != std::string::npos) lines.push_back(line);
        }
        first = false;
    }
    return lines;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const std::size_t most = data[0];
    const std::size_t piece = data[1] + std::size_t{1};
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
    const auto lines = expected(bytes, most);
    require(decoded(bytes, piece, most) == lines);
    require(decoded(bytes, bytes.size() + 1, most) == lines);
    return 0;
}
