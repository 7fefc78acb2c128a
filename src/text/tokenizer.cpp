#include "text/tokenizer.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "text/text_cleaning.h"
#include "text/utf8.h"

namespace sdxl {
namespace {

std::int32_t special_id(const Vocabulary& vocabulary, const std::string& token) {
    const auto id = vocabulary.id(token);
    if (!id) fail(ErrorCode::kInvalidModel, "the tokenizer's vocabulary has no special token " + token);
    return *id;
}

// The defect that ByteSource::kUtf16CodeUnits describes.
std::vector<std::uint8_t> first_code_units(std::string_view word) {
    std::vector<std::uint8_t> units;
    for (const char32_t character : decode_utf8(word))
        if (character < 256) units.push_back(static_cast<std::uint8_t>(character));
    return units;
}

}  // namespace

Tokenizer::Tokenizer(const Vocabulary& vocabulary, TokenizerConfig config)
    : config_(std::move(config)),
      merger_(vocabulary),
      vocab_size_(vocabulary.size()),
      bos_id_(special_id(vocabulary, config_.bos_token)),
      eos_id_(special_id(vocabulary, config_.eos_token)),
      unk_id_(special_id(vocabulary, config_.unk_token)) {
    if (config_.pad_token) pad_id_ = special_id(vocabulary, *config_.pad_token);
}

Tokenizer Tokenizer::load(const std::filesystem::path& vocab_json, const std::filesystem::path& merges_txt,
                          const TokenizerConfig& config) {
    return Tokenizer(Vocabulary::load(vocab_json, merges_txt), config);
}

Tokenizer Tokenizer::load_folder(const std::filesystem::path& folder) {
    const auto config_path = folder / "tokenizer_config.json";
    const bool has_config = std::filesystem::exists(config_path);
    return load(folder / "vocab.json", folder / "merges.txt",
                has_config ? load_tokenizer_config(config_path) : TokenizerConfig{});
}

Tokenizer Tokenizer::load_bpe_vocabulary(const std::filesystem::path& merges_txt,
                                         const TokenizerConfig& config) {
    return Tokenizer(Vocabulary::load_bpe_vocabulary(merges_txt), config);
}

std::vector<std::optional<std::int32_t>> Tokenizer::encode_pieces(std::string_view text,
                                                                  ByteSource source) const {
    const bool utf8 = source == ByteSource::kUtf8;
    const std::string cleaned = clean_text(text, utf8 ? NormalForm::kComposed : NormalForm::kAsWritten);
    std::vector<std::optional<std::int32_t>> ids;
    for (const std::string_view word : pre_tokenizer_.split(cleaned)) {
        if (word == config_.bos_token || word == config_.eos_token) {
            ids.emplace_back(word == config_.bos_token ? bos_id_ : eos_id_);
            continue;
        }
        const auto bytes =
            utf8 ? std::vector<std::uint8_t>(word.begin(), word.end()) : first_code_units(word);
        const auto pieces = merger_.merge(bytes);
        if (pieces.empty()) ids.emplace_back(std::nullopt);
        ids.insert(ids.end(), pieces.begin(), pieces.end());
    }
    return ids;
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text) const {
    std::vector<std::int32_t> ids;
    for (const auto& id : encode_pieces(text)) ids.push_back(id.value_or(unk_id_));
    return ids;
}

PaddedIds Tokenizer::encode_padded(std::string_view text, std::int32_t pad_id) const {
    return pad(encode(text), pad_id);
}

PaddedIds Tokenizer::pad(const std::vector<std::int32_t>& ids, std::int32_t pad_id) const {
    const std::size_t room = static_cast<std::size_t>(max_length()) - 2;
    const std::size_t used = std::min(ids.size(), room);
    PaddedIds padded;
    padded.used = static_cast<int>(used);
    padded.dropped = static_cast<int>(ids.size() - used);
    padded.ids.assign(static_cast<std::size_t>(max_length()), pad_id);
    padded.ids[0] = bos_id_;
    std::copy_n(ids.begin(), used, padded.ids.begin() + 1);
    padded.ids[used + 1] = eos_id_;
    return padded;
}

}  // namespace sdxl
