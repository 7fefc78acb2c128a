#include "weights/safetensors_header.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "core/error.h"
#include "weights/header_json.h"

namespace sdxl {
namespace {

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
constexpr std::size_t kMaxQuoted = 160;

[[noreturn]] void broken(const std::string& path, const std::string& what) {
    fail(ErrorCode::kInvalidModel, "'" + path + "': " + what);
}

std::string bytes_text(std::uint64_t bytes) {
    return std::to_string(bytes) + " bytes";
}

std::string_view as_text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Files that often stand under the name of a model and are something else.
void refuse_other_formats(std::string_view text, const std::string& path) {
    static constexpr std::pair<std::string_view, std::string_view> kOthers[] = {
        {"version https://git-lfs",
         "a Git LFS pointer, not the file itself: run 'git lfs pull' or download it"},
        {"<", "a web page, not a model: the download needs a login or another address"},
        {"PK\x03\x04", "a PyTorch archive (.ckpt, .pt): convert it to safetensors"},
        {"\x80\x02", "a Python pickle (.ckpt, .pt): convert it to safetensors"},
        {"GGUF", "a GGUF file: use a safetensors version of the model"},
    };
    for (const auto& [start, what] : kOthers)
        if (text.starts_with(start) && !(text.size() > kLengthBytes && text[kLengthBytes] == '{'))
            broken(path, "this is " + std::string(what));
}

// The header's JSON text, its length checked against the file's.
std::string_view header_text(std::span<const std::byte> file, const std::string& path) {
    const std::string_view text = as_text(file);
    refuse_other_formats(text, path);
    if (file.size() < kLengthBytes)
        broken(path, "the file has " + bytes_text(file.size()) + ", too few for a safetensors header");
    std::uint64_t length = 0;
    for (std::uint64_t i = kLengthBytes; i-- > 0;)
        length = length << 8 | std::to_integer<std::uint64_t>(file[i]);
    if (length > kMaxHeaderBytes)
        broken(path, "its header claims " + bytes_text(length) + ", expected at most " +
                         std::to_string(kMaxHeaderBytes) + ": this is not a safetensors file");
    if (length > file.size() - kLengthBytes)
        broken(path, "its header claims " + bytes_text(length) + ", but the file has only " +
                         std::to_string(file.size() - kLengthBytes) +
                         " after the length: the file is truncated, download it again");
    return text.substr(kLengthBytes, length);
}

// numel * dtype_size, or an error if a product leaves the range of int64.
std::uint64_t checked_bytes(const TensorRecord& tensor, const std::string& path) {
    constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    std::uint64_t bytes = dtype_size(tensor.dtype);
    for (const auto dim : tensor.shape.dims()) {
        const auto extent = static_cast<std::uint64_t>(dim);
        if (extent != 0 && bytes > kMax / extent)
            broken(path,
                   "tensor " + quoted_name(tensor.name) + " has the impossible shape " + tensor.shape.str());
        bytes *= extent;
    }
    return bytes;
}

void check_range(const TensorRecord& tensor, std::uint64_t data_bytes, const std::string& path) {
    const std::string who = "tensor " + quoted_name(tensor.name);
    const std::uint64_t expected = checked_bytes(tensor, path);
    if (tensor.begin > tensor.end)
        broken(path, who + " ends at byte " + std::to_string(tensor.end) + ", before its start at " +
                         std::to_string(tensor.begin));
    if (tensor.end - tensor.begin != expected)
        broken(path, who + " spans " + bytes_text(tensor.end - tensor.begin) + ", but shape " +
                         tensor.shape.str() + " of " + std::string(dtype_name(tensor.dtype)) + " needs " +
                         std::to_string(expected));
    if (tensor.end > data_bytes)
        broken(path, who + " ends at byte " + std::to_string(tensor.end) +
                         " of the data, but the file holds only " + std::to_string(data_bytes) +
                         ": the file is truncated, download it again");
}

// REQUIRES: sorted by (begin, end), every range inside the data.
void check_gapless(const std::vector<TensorRecord>& tensors, std::uint64_t data_bytes,
                   const std::string& path) {
    std::uint64_t at = 0;
    std::string before = "the start of the data";
    for (const auto& tensor : tensors) {
        const std::string name = "tensor " + quoted_name(tensor.name);
        if (tensor.begin < at)
            broken(path, name + " starts at byte " + std::to_string(tensor.begin) + " and overlaps " +
                             before + ", which ends at " + std::to_string(at));
        if (tensor.begin > at)
            broken(path,
                   "a hole of " + bytes_text(tensor.begin - at) + " lies between " + before + " and " + name);
        at = tensor.end;
        before = name;
    }
    if (at != data_bytes)
        broken(path, "the file has " + bytes_text(data_bytes - at) + " after " + before +
                         " that belong to no tensor: the file is damaged, download it again");
}

}  // namespace

std::string quoted_name(std::string_view name) {
    if (name.size() <= kMaxQuoted) return "'" + std::string(name) + "'";
    std::size_t length = kMaxQuoted;
    while (length > 0 && (static_cast<unsigned char>(name[length]) & 0xC0U) == 0x80U) --length;
    return "'" + std::string(name.substr(0, length)) + "…'";
}

SafetensorsHeader parse_safetensors(std::span<const std::byte> file, const std::string& path) {
    const std::string_view text = header_text(file, path);
    HeaderJson json = read_header_json(text, path);
    SafetensorsHeader header;
    header.data_offset = kLengthBytes + text.size();
    header.tensors = std::move(json.tensors);
    header.metadata = std::move(json.metadata);
    const std::uint64_t data_bytes = file.size() - header.data_offset;
    for (const auto& tensor : header.tensors) check_range(tensor, data_bytes, path);
    std::ranges::sort(header.tensors, {},
                      [](const TensorRecord& tensor) { return std::tie(tensor.begin, tensor.end); });
    check_gapless(header.tensors, data_bytes, path);
    return header;
}

}  // namespace sdxl
