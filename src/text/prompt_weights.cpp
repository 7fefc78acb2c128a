#include "text/prompt_weights.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "core/error.h"

namespace sdxl {
namespace {

constexpr double kRound = 1.1;
constexpr double kSquare = 1 / 1.1;
// Products beyond these bounds say nothing that an encoder understands; they keep thousands of brackets
// finite.
constexpr double kMostWeight = 100;
constexpr std::string_view kBreak = "BREAK";

bool is_space(char c) {
    return std::isspace(static_cast<unsigned char>(c)) != 0;
}

// A character of a word, as a regular expression's \\b sees it; other scripts' letters are all of them.
bool is_word(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return std::isalnum(byte) != 0 || c == '_' || byte >= 0x80;
}

// One pass over the prompt. A bracket's weight is known where it closes: spans of pieces are kept, and
// multiplied at the end. Round and square brackets nest apart from each other, as in the web UI.
class Parser {
  public:
    explicit Parser(std::string_view prompt) : prompt_(prompt) {}

    std::vector<PromptPart> parse() {
        while (at_ < prompt_.size()) step();
        while (!round_.open.empty()) close(round_, kRound);
        while (!square_.open.empty()) close(square_, kSquare);
        return finish();
    }

  private:
    struct Piece {
        std::string text;
        bool breaks = false;
    };
    struct Span {
        std::size_t begin, end;  // pieces
        double factor;
    };
    // The brackets of one kind.
    struct Brackets {
        std::vector<std::size_t> open;  // the first piece inside of each
        std::vector<Span> spans;        // those that closed
    };

    void step() {
        const char c = prompt_[at_];
        if (c == '\\') {
            // The web UI reads a backslash that stands before nothing special as nothing.
            const bool escapes = at_ + 1 < prompt_.size() && is_escapable(prompt_[at_ + 1]);
            if (escapes) add(prompt_[at_ + 1]);
            at_ += escapes ? 2 : 1;
        } else if (c == '(' || c == '[') {
            begin_piece();
            (c == '(' ? round_ : square_).open.push_back(pieces_.size() - 1);
            ++at_;
        } else if (c == ')' && !round_.open.empty()) {
            close(round_, kRound);
            ++at_;
        } else if (c == ']' && !square_.open.empty()) {
            close(square_, kSquare);
            ++at_;
        } else if (const auto weight =
                       c == ':' && !round_.open.empty() ? number_before_bracket() : std::nullopt) {
            close(round_, *weight);
        } else if (is_break()) {
            trim_end();
            begin_piece();
            pieces_.back().breaks = true;
            begin_piece();
            at_ += kBreak.size();
            while (at_ < prompt_.size() && is_space(prompt_[at_])) ++at_;
        } else {
            add(c);
            ++at_;
        }
    }

    static bool is_escapable(char c) { return c == '(' || c == ')' || c == '[' || c == ']' || c == '\\'; }

    bool is_break() const {
        const bool begins = at_ == 0 || !is_word(prompt_[at_ - 1]);
        const std::size_t end = at_ + kBreak.size();
        return begins && prompt_.substr(at_, kBreak.size()) == kBreak &&
               (end == prompt_.size() || !is_word(prompt_[end]));
    }

    // ":1.2)" from here on: moves behind it.
    std::optional<double> number_before_bracket() {
        std::size_t begin = at_ + 1;
        while (begin < prompt_.size() && is_space(prompt_[begin])) ++begin;
        if (begin < prompt_.size() && prompt_[begin] == '+') ++begin;
        double value = 0;
        const char* last = prompt_.data() + prompt_.size();
        const auto [end, error] =
            std::from_chars(prompt_.data() + begin, last, value, std::chars_format::fixed);
        const char* bracket = end;
        while (bracket != last && is_space(*bracket)) ++bracket;
        if (error != std::errc() || bracket == last || *bracket != ')' || !std::isfinite(value))
            return std::nullopt;
        at_ = static_cast<std::size_t>(bracket - prompt_.data()) + 1;
        return value;
    }

    void begin_piece() { pieces_.emplace_back(); }
    void add(char c) {
        if (pieces_.empty()) begin_piece();
        pieces_.back().text += c;
    }
    void trim_end() {
        if (pieces_.empty()) return;
        std::string& text = pieces_.back().text;
        while (!text.empty() && is_space(text.back())) text.pop_back();
    }

    // The innermost bracket of a kind ends here and multiplies what is inside it.
    void close(Brackets& brackets, double factor) {
        brackets.spans.push_back({brackets.open.back(), pieces_.size(), factor});
        brackets.open.pop_back();
        begin_piece();
    }

    std::vector<PromptPart> finish() {
        std::vector<double> weights(pieces_.size(), 1.0);
        multiply(weights, round_.spans);
        multiply(weights, square_.spans);
        std::vector<PromptPart> parts;
        for (std::size_t i = 0; i < pieces_.size(); ++i) append(parts, pieces_[i], weights[i]);
        if (parts.empty()) parts.emplace_back();
        return parts;
    }

    // Spans of one kind nest: a stack of those that are open gives each piece the product of its own.
    static void multiply(std::vector<double>& weights, const std::vector<Span>& spans) {
        std::vector<std::vector<std::size_t>> begins(weights.size() + 1);
        // Inner ones closed first; outer ones must be opened first.
        for (std::size_t i = spans.size(); i-- > 0;) begins[spans[i].begin].push_back(i);
        std::vector<std::pair<std::size_t, double>> around;  // end and product
        for (std::size_t i = 0; i < weights.size(); ++i) {
            while (!around.empty() && around.back().first <= i) around.pop_back();
            for (const std::size_t span : begins[i]) {
                const double outer = around.empty() ? 1.0 : around.back().second;
                around.emplace_back(spans[span].end, bounded(outer * spans[span].factor));
            }
            if (!around.empty()) weights[i] = bounded(weights[i] * around.back().second);
        }
    }

    static double bounded(double weight) { return std::min(std::max(weight, -kMostWeight), kMostWeight); }

    static void append(std::vector<PromptPart>& parts, Piece& piece, double weight) {
        if (piece.breaks) {
            parts.push_back({"", 1.0, true});
        } else if (!piece.text.empty()) {
            if (!parts.empty() && !parts.back().breaks && parts.back().weight == weight)
                parts.back().text += piece.text;
            else
                parts.push_back({std::move(piece.text), weight, false});
        }
    }

    std::string_view prompt_;
    std::size_t at_ = 0;
    std::vector<Piece> pieces_;
    Brackets round_, square_;
};

// Gathers weighted tokens into chunks.
class Chunker {
  public:
    Chunker(const Tokenizer& tokenizer, std::int32_t pad_id)
        : tokenizer_(tokenizer),
          pad_id_(pad_id),
          room_(static_cast<std::size_t>(tokenizer.max_length() - 2)) {
        const auto comma = tokenizer.encode(",");
        if (comma.size() == 1) comma_ = comma.front();
    }

    void add(std::int32_t id, float weight) {
        const bool is_comma = comma_ && id == *comma_;
        if (tokens_.size() == room_) is_comma ? end() : end_full();
        tokens_.push_back({id, weight});
        if (is_comma) behind_comma_ = tokens_.size();
    }

    // Ids that stand for one word: they stay together, in the next chunk where this one has no room.
    void add_together(std::int32_t first, std::int32_t count, float weight) {
        if (static_cast<std::size_t>(count) > room_)
            fail(ErrorCode::kInvalidRequest, "a word of the prompt stands for " + std::to_string(count) +
                                                 " vectors, of which a chunk has room for " +
                                                 std::to_string(room_));
        if (tokens_.size() == room_) end_full();
        if (tokens_.size() + static_cast<std::size_t>(count) > room_) end();
        for (std::int32_t i = 0; i < count; ++i) tokens_.push_back({first + i, weight});
    }

    void end() {
        std::vector<std::int32_t> ids;
        for (const Token& token : tokens_) ids.push_back(token.id);
        PromptChunk chunk{tokenizer_.pad(ids, pad_id_).ids, {}};
        chunk.weights.assign(chunk.ids.size(), 1.0F);
        for (std::size_t i = 0; i < tokens_.size(); ++i) chunk.weights[i + 1] = tokens_[i].weight;
        chunks_.push_back(std::move(chunk));
        tokens_.clear();
        behind_comma_ = 0;
    }

    bool empty() const { return tokens_.empty(); }
    std::vector<PromptChunk> take() { return std::move(chunks_); }

  private:
    struct Token {
        std::int32_t id;
        float weight;
    };

    // What stands behind a comma near the end moves on to the next chunk, unless a comma comes next.
    void end_full() {
        constexpr std::size_t kBacktrack = 19;  // the web UI's 20 count the comma
        std::vector<Token> moved;
        if (behind_comma_ > 0 && tokens_.size() - behind_comma_ <= kBacktrack) {
            const auto begin = tokens_.begin() + static_cast<std::ptrdiff_t>(behind_comma_);
            moved.assign(begin, tokens_.end());
            tokens_.erase(begin, tokens_.end());
        }
        end();
        tokens_ = std::move(moved);
    }

    const Tokenizer& tokenizer_;
    std::int32_t pad_id_;
    std::size_t room_;
    std::optional<std::int32_t> comma_;
    std::vector<Token> tokens_;
    std::size_t behind_comma_ = 0;  // tokens up to and with the last comma of this chunk
    std::vector<PromptChunk> chunks_;
};

}  // namespace

std::vector<PromptPart> parse_prompt_weights(std::string_view prompt) {
    return Parser(prompt).parse();
}

std::vector<PromptChunk> chunk_prompt(const std::vector<PromptPart>& parts, const Tokenizer& tokenizer,
                                      std::int32_t pad_id, const PromptTriggers& triggers) {
    Chunker chunker(tokenizer, pad_id);
    bool any = false;
    for (const PromptPart& part : parts) {
        if (part.breaks) {
            chunker.end();
            any = true;
            continue;
        }
        const auto weight = static_cast<float>(part.weight);
        for (const auto& piece : triggers.split(part.text)) {
            if (piece.trigger != nullptr) {
                chunker.add_together(piece.trigger->first_id, piece.trigger->count, weight);
                any = true;
                continue;
            }
            for (const std::int32_t id : tokenizer.encode(piece.text)) {
                chunker.add(id, weight);
                any = true;
            }
        }
    }
    if (!any || !chunker.empty()) chunker.end();
    return chunker.take();
}

PromptChunk empty_chunk(const Tokenizer& tokenizer, std::int32_t pad_id) {
    PromptChunk chunk{tokenizer.pad({}, pad_id).ids, {}};
    chunk.weights.assign(chunk.ids.size(), 1.0F);
    return chunk;
}

}  // namespace sdxl
