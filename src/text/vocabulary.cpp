#include "text/vocabulary.h"

#include <nlohmann/json.hpp>
#include <unordered_set>

#include "core/error.h"
#include "text/byte_symbols.h"
#include "text/text_file.h"

namespace sdxl {
namespace {

constexpr std::uintmax_t kMaxFileBytes = 64u << 20;
constexpr std::int64_t kMaxId = 1 << 24;

[[noreturn]] void fail_file(const std::filesystem::path& path, const std::string& why) {
    fail(ErrorCode::kInvalidModel, path.string() + ": " + why);
}

// One merge per line, its two symbols divided by one space; a first line that is a "#version" comment is left
// out.
std::vector<Vocabulary::Merge> read_merges(const std::filesystem::path& path) {
    const std::string text = read_text_file(path, kMaxFileBytes);
    std::vector<Vocabulary::Merge> merges;
    std::size_t line_number = 0;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        std::string_view line = std::string_view(text).substr(begin, end - begin);
        begin = end + 1;
        ++line_number;
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty() || (line_number == 1 && line.find("#version") != line.npos)) continue;
        const std::size_t space = line.find(' ');
        if (space == 0 || space == line.npos || space + 1 == line.size() ||
            line.find(' ', space + 1) != line.npos)
            fail_file(path, "line " + std::to_string(line_number) + " is not two symbols divided by a space");
        merges.push_back({std::string(line.substr(0, space)), std::string(line.substr(space + 1))});
    }
    return merges;
}

std::unordered_map<std::string, std::int32_t> read_ids(const std::filesystem::path& path) {
    const auto json = nlohmann::json::parse(read_text_file(path, kMaxFileBytes), nullptr, false);
    if (!json.is_object() || json.empty()) fail_file(path, "expected a JSON object of tokens and their ids");
    std::unordered_map<std::string, std::int32_t> ids;
    std::unordered_set<std::int32_t> taken;
    for (const auto& [token, value] : json.items()) {
        if (!value.is_number_integer() || value.get<std::int64_t>() < 0 || value.get<std::int64_t>() > kMaxId)
            fail_file(path, "the id of token \"" + token + "\" is not a whole number from 0");
        const auto id = value.get<std::int32_t>();
        if (!taken.insert(id).second) fail_file(path, "id " + std::to_string(id) + " is given to two tokens");
        ids.emplace(token, id);
    }
    return ids;
}

}  // namespace

Vocabulary::Vocabulary(std::unordered_map<std::string, std::int32_t> ids, std::vector<Merge> merges)
    : ids_(std::move(ids)), merges_(std::move(merges)) {}

Vocabulary Vocabulary::load(const std::filesystem::path& vocab_json,
                            const std::filesystem::path& merges_txt) {
    return {read_ids(vocab_json), read_merges(merges_txt)};
}

Vocabulary Vocabulary::load_bpe_vocabulary(const std::filesystem::path& merges_txt) {
    constexpr std::size_t kMerges = kClipVocabularySize - 2 * 256 - 2;
    auto merges = read_merges(merges_txt);
    if (merges.size() < kMerges)
        fail_file(merges_txt, "holds " + std::to_string(merges.size()) + " merges, CLIP's vocabulary has " +
                                  std::to_string(kMerges) + "; run tools/fetch-vocabulary");
    merges.resize(kMerges);
    std::unordered_map<std::string, std::int32_t> ids;
    ids.reserve(kClipVocabularySize);
    const auto add = [&ids](std::string token) {
        ids.emplace(std::move(token), static_cast<std::int32_t>(ids.size()));
    };
    for (const auto byte : byte_order()) add(byte_symbols()[byte]);
    for (const auto byte : byte_order()) add(byte_symbols()[byte] + std::string(kEndOfWord));
    for (const auto& merge : merges) add(merge.left + merge.right);
    add(std::string(kStartOfText));
    add(std::string(kEndOfText));
    if (ids.size() != kClipVocabularySize)
        fail_file(merges_txt, "two merges give the same token, so this is not CLIP's vocabulary");
    return {std::move(ids), std::move(merges)};
}

std::optional<std::int32_t> Vocabulary::id(std::string_view token) const {
    const auto found = ids_.find(std::string(token));
    if (found == ids_.end()) return std::nullopt;
    return found->second;
}

}  // namespace sdxl
