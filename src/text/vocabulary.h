// The vocabulary of a byte-pair tokenizer: tokens with their ids, and merges with their ranks.
// A value; immutable after loading, so any threads may read it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace sdxl {

// Ends the last symbol of a word.
inline constexpr std::string_view kEndOfWord = "</w>";
inline constexpr std::string_view kStartOfText = "<|startoftext|>";
inline constexpr std::string_view kEndOfText = "<|endoftext|>";
inline constexpr std::int32_t kClipVocabularySize = 49408;

class Vocabulary {
  public:
    // A merge of two neighbouring symbols; a lower rank goes first.
    struct Merge {
        std::string left, right;
    };

    // `merges` in rank order. REQUIRES: ids are unique and not negative.
    Vocabulary(std::unordered_map<std::string, std::int32_t> ids, std::vector<Merge> merges);

    // vocab.json ({token: id}) and merges.txt of a model folder, of any size. Fails with kNotFound, kIo or
    // kInvalidModel; the message names the file, and the line where there is one.
    static Vocabulary load(const std::filesystem::path& vocab_json, const std::filesystem::path& merges_txt);

    // CLIP's own vocabulary, which needs the merges only: 256 bytes, the same ending a word, 48,894 merges,
    // and the two special tokens. The file may hold more merges (bpe_simple_vocab_16e6.txt does); CLIP uses
    // the first.
    static Vocabulary load_bpe_vocabulary(const std::filesystem::path& merges_txt);

    std::int32_t size() const { return static_cast<std::int32_t>(ids_.size()); }
    std::optional<std::int32_t> id(std::string_view token) const;
    const std::vector<Merge>& merges() const { return merges_; }

  private:
    std::unordered_map<std::string, std::int32_t> ids_;
    std::vector<Merge> merges_;
};

}  // namespace sdxl
