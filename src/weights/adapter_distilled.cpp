#include "weights/adapter_distilled.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <string_view>
#include <vector>

#include "weights/name_words.h"

namespace sdxl {
namespace {

using Words = std::vector<std::string>;

struct Kind {
    std::string_view word;
    bool telling;  // the word alone says it; others are also those of ordinary styles ("lightning magic")
    std::string_view name;
    std::string_view scheduler;
    bool trailing;
    int steps;
    double guidance_scale;
};
constexpr std::array<Kind, 6> kKinds{{
    {"lcm", true, "lcm", "LCMScheduler", false, 4, 1},
    {"tcd", true, "tcd", "TCDScheduler", false, 4, 0},
    {"dmd", true, "dmd2", "LCMScheduler", false, 4, 0},
    {"lightning", false, "lightning", "EulerDiscreteScheduler", true, 4, 0},
    {"hyper", false, "hyper", "DDIMScheduler", true, 8, 0},
    {"turbo", false, "turbo", "EulerAncestralDiscreteScheduler", true, 4, 0},
}};

bool is_model(const std::string& word) {
    return word == "sdxl" || word == "sd" || word == "xl";
}

// "SDXL-Lightning", "Hyper-SD", or a number of steps anywhere.
bool says(const Kind& kind, const Words& words) {
    const auto found = std::find(words.begin(), words.end(), kind.word);
    if (found == words.end()) return false;
    if (kind.telling || steps_in(words)) return true;
    const bool before = found != words.begin() && is_model(*(found - 1));
    return before || (found + 1 != words.end() && is_model(*(found + 1)));
}

DistilledAdapter settings_of(const Kind& kind, const Words& words, std::string reason) {
    DistilledAdapter adapter{std::string(kind.name),
                             std::move(reason),
                             std::string(kind.scheduler),
                             kind.trailing,
                             steps_in(words).value_or(kind.steps),
                             kind.guidance_scale};
    if (kind.name != "hyper") return adapter;
    // Hyper-SD's one-step LoRA is for TCD; those that keep guidance want 5 to 8 of it.
    constexpr double kKeptGuidance = 5;
    if (adapter.steps == 1) adapter.scheduler = "TCDScheduler";
    if (std::find(words.begin(), words.end(), "cfg") != words.end()) adapter.guidance_scale = kKeptGuidance;
    return adapter;
}

struct Clue {
    std::string text, reason;
};

// The hub's files have one name; what they are stands in their folder's, or above a snapshot.
std::vector<Clue> clues_of(const AdapterFile& file) {
    std::vector<Clue> clues;
    for (const char* key : {"modelspec.title", "modelspec.tags", "modelspec.architecture", "ss_output_name"})
        if (const auto found = file.metadata().find(key); found != file.metadata().end())
            clues.push_back({found->second, std::string("its metadata, ") + key});
    const std::filesystem::path& path = file.path();
    clues.push_back({path.stem().string(), "its name"});
    if (path.stem() != "pytorch_lora_weights" && path.stem() != "adapter_model") return clues;
    const std::filesystem::path folder = path.parent_path();
    clues.push_back({folder.filename().string(), "its folder's name"});
    if (folder.parent_path().filename() == "snapshots")
        clues.push_back({folder.parent_path().parent_path().filename().string(), "its folder's name"});
    return clues;
}

}  // namespace

std::optional<DistilledAdapter> detect_distilled(const AdapterFile& file) {
    for (const Clue& clue : clues_of(file)) {
        const Words words = words_of(clue.text);
        for (const Kind& kind : kKinds)
            if (says(kind, words)) return settings_of(kind, words, clue.reason);
    }
    return std::nullopt;
}

}  // namespace sdxl
