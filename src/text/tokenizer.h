// CLIP's byte-pair tokenizer: a prompt in, token ids out.
//
// Follows OpenAI CLIP `simple_tokenizer` and Hugging Face `CLIPTokenizer`: clean_text, PreTokenizer, then
// BytePairMerger on the UTF-8 bytes of each word. A value; immutable after loading, any threads may call
// `encode`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "text/byte_pair.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer_config.h"
#include "text/vocabulary.h"

namespace sdxl {

// Ids of one text, ready for the encoder: start, the text's ids, end, padding.
struct PaddedIds {
    std::vector<std::int32_t> ids;  // [77] (model_max_length)
    int used = 0;                   // ids of the text that are in it, without start and end
    int dropped = 0;                // ids of the text that did not fit; callers report it where it is not 0
};

// What the byte map is fed with. The worker always uses UTF-8. The other one reproduces clip-bpe-js 0.0.6,
// which made the golden values: it takes each character's first UTF-16 code unit for a byte, so characters
// above U+00FF vanish, and a word of which nothing is left has no id. It exists for tests only.
enum class ByteSource { kUtf8, kUtf16CodeUnits };

class Tokenizer {
  public:
    // Fails with kInvalidModel where a special token of `config` is not in the vocabulary.
    explicit Tokenizer(const Vocabulary& vocabulary, TokenizerConfig config = {});

    // vocab.json and merges.txt of a model folder.
    static Tokenizer load(const std::filesystem::path& vocab_json, const std::filesystem::path& merges_txt,
                          const TokenizerConfig& config = {});
    // A model's `tokenizer` folder: vocab.json, merges.txt and, where it is there, tokenizer_config.json.
    static Tokenizer load_folder(const std::filesystem::path& folder);
    // CLIP's own vocabulary of 49,408 entries from its merges (default_vocabulary.h finds them).
    static Tokenizer load_bpe_vocabulary(const std::filesystem::path& merges_txt,
                                         const TokenizerConfig& config = {});

    // Ids without start and end, of any length. What the vocabulary does not know becomes `unk_id`.
    std::vector<std::int32_t> encode(std::string_view text) const;
    // The same with nullopt for what the vocabulary does not know.
    std::vector<std::optional<std::int32_t>> encode_pieces(std::string_view text,
                                                           ByteSource source = ByteSource::kUtf8) const;
    PaddedIds encode_padded(std::string_view text, std::int32_t pad_id) const;
    // The same for ids that are there already, e.g. one chunk of a long prompt.
    PaddedIds pad(const std::vector<std::int32_t>& ids, std::int32_t pad_id) const;

    std::int32_t bos_id() const { return bos_id_; }
    std::int32_t eos_id() const { return eos_id_; }
    std::int32_t unk_id() const { return unk_id_; }
    // What the model folder asks to pad with; absent where it does not say.
    std::optional<std::int32_t> pad_id() const { return pad_id_; }
    std::int32_t vocab_size() const { return vocab_size_; }
    int max_length() const { return config_.model_max_length; }

  private:
    TokenizerConfig config_;
    PreTokenizer pre_tokenizer_;
    BytePairMerger merger_;
    std::int32_t vocab_size_;
    std::int32_t bos_id_, eos_id_, unk_id_;
    std::optional<std::int32_t> pad_id_;
};

}  // namespace sdxl
