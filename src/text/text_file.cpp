#include "text/text_file.h"

#include <fstream>
#include <system_error>

#include "core/error.h"

namespace sdxl {

std::string read_text_file(const std::filesystem::path& path, std::uintmax_t max_bytes) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error))
        fail(ErrorCode::kNotFound, path.string() + ": no such file");
    const auto size = std::filesystem::file_size(path, error);
    if (error) fail(ErrorCode::kIo, path.string() + ": " + error.message());
    if (size > max_bytes)
        fail(ErrorCode::kInvalidModel, path.string() + ": " + std::to_string(size) +
                                           " bytes, expected at most " + std::to_string(max_bytes));
    std::string text(static_cast<std::size_t>(size), '\0');
    std::ifstream file(path, std::ios::binary);
    if (!file.read(text.data(), static_cast<std::streamsize>(size)))
        fail(ErrorCode::kIo, path.string() + ": cannot be read");
    return text;
}

}  // namespace sdxl
