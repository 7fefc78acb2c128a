#include "pipeline/model_variant.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "weights/name_words.h"

namespace sdxl {
namespace {

// Models that were distilled to few steps. What their authors publish: Sauer et al. 2023 (Turbo), Lin et al.
// 2024 (Lightning), Luo et al. 2023 (LCM), Ren et al. 2024 (Hyper-SD).
struct Distilled {
    std::string_view word;
    int steps;
    double guidance_scale;
    SchedulerType scheduler;
    std::optional<TimestepSpacing> spacing;
};
constexpr std::array<Distilled, 4> kDistilled{{
    {"turbo", 4, 0, SchedulerType::kEulerAncestral, TimestepSpacing::kTrailing},
    {"lightning", 4, 0, SchedulerType::kEuler, TimestepSpacing::kTrailing},
    {"lcm", 4, 1, SchedulerType::kLcm, std::nullopt},
    {"hyper", 8, 0, SchedulerType::kDdim, TimestepSpacing::kTrailing},
}};

const Distilled* find_word(const std::vector<std::string>& words) {
    for (const Distilled& distilled : kDistilled)
        if (std::find(words.begin(), words.end(), distilled.word) != words.end()) return &distilled;
    return nullptr;
}

struct Clue {
    std::string text, reason;
};

std::vector<Clue> clues_of(const Checkpoint& checkpoint) {
    std::vector<Clue> clues;
    for (const char* key : {"modelspec.architecture", "modelspec.title", "modelspec.tags", "_name_or_path"})
        if (const auto found = checkpoint.metadata.find(key); found != checkpoint.metadata.end())
            clues.push_back({found->second, std::string("its metadata, ") + key});
    clues.push_back({checkpoint.path.filename().string(), "its name"});
    return clues;
}

void apply(const Distilled& distilled, const std::vector<std::string>& words, bool own_scheduler,
           ModelVariant& variant, LoadedSchedulerConfig& scheduler) {
    variant.name = distilled.word;
    variant.guidance_scale = distilled.guidance_scale;
    variant.steps = steps_in(words).value_or(distilled.steps);
    if (own_scheduler) return;
    scheduler.type = distilled.scheduler;
    if (distilled.spacing) scheduler.config.timestep_spacing = distilled.spacing;
    // Lightning's one-step model predicts the picture itself.
    if (distilled.word == "lightning" && variant.steps == 1)
        scheduler.config.prediction_type = PredictionType::kSample;
}

ModelVariant variant_by_name(const Checkpoint& checkpoint, LoadedSchedulerConfig& scheduler) {
    const bool own_scheduler = !checkpoint.configs.scheduler.empty();
    ModelVariant variant;
    variant.name = model_kind_name(checkpoint.kind);
    if (checkpoint.zero_terminal_snr && !scheduler.config.timestep_spacing)
        scheduler.config.timestep_spacing = TimestepSpacing::kTrailing;
    if (checkpoint.zero_terminal_snr && !own_scheduler)
        scheduler.config.timestep_spacing = TimestepSpacing::kTrailing;
    for (const Clue& clue : clues_of(checkpoint)) {
        const auto words = words_of(clue.text);
        const Distilled* found = find_word(words);
        if (found == nullptr) continue;
        apply(*found, words, own_scheduler, variant, scheduler);
        variant.reason = clue.reason;
        return variant;
    }
    if (own_scheduler && scheduler.type == SchedulerType::kLcm) {
        apply(kDistilled[2], {}, true, variant, scheduler);
        variant.reason = "its scheduler";
    }
    return variant;
}

}  // namespace

ModelVariant detect_variant(const Checkpoint& checkpoint, LoadedSchedulerConfig& scheduler) {
    ModelVariant variant = variant_by_name(checkpoint, scheduler);
    const RecommendedSettings& recommended = checkpoint.recommended;
    variant.steps = recommended.num_inference_steps.value_or(variant.steps);
    variant.guidance_scale = recommended.guidance_scale.value_or(variant.guidance_scale);
    return variant;
}

}  // namespace sdxl
