// The directory of a zip archive whose entries are stored as they are, as torch.save writes them.
//
// Format: PKWARE's APPNOTE 6.3, sections 4.3.7 (local header), 4.3.12 (directory), 4.3.14 to 4.3.16 (its end,
// with the 64-bit form). Nothing about the bytes is trusted: every entry's range lies inside the file, or
// Failure is thrown. Pure function, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace sdxl {

// Names and contents, which are views into the file.
using ZipEntries = std::map<std::string, std::span<const std::byte>, std::less<>>;

// `path` is for messages. Fails with kInvalidModel for a broken archive, with kUnsupported for entries that
// are compressed or encrypted.
ZipEntries read_zip_entries(std::span<const std::byte> file, const std::string& path);

}  // namespace sdxl
