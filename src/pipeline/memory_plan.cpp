#include "pipeline/memory_plan.h"

#include <algorithm>
#include <array>
#include <string>

#include "core/error.h"

namespace sdxl {
namespace {

constexpr std::array kSteps{MemoryStep::kWhole,   MemoryStep::kTiles,  MemoryStep::kOneByOne,
                            MemoryStep::kOffload, MemoryStep::kStream, MemoryStep::kStreamAll};

std::string gib(std::uint64_t bytes) {
    const std::uint64_t hundredths = (bytes * 100 + (std::uint64_t{1} << 29U)) >> 30U;
    const std::string rest = std::to_string(hundredths % 100);
    return std::to_string(hundredths / 100) + "." + (rest.size() < 2 ? "0" : "") + rest + " GiB";
}

std::uint64_t text_weights(const SdxlModel& model) {
    std::uint64_t sum = 0;
    for (const auto* text : {model.rehearsed_text.get(), model.rehearsed_text_2.get()})
        if (text != nullptr) sum += text->weight_bytes();
    return sum;
}

// What the networks of one model take.
class Estimate {
  public:
    Estimate(const SdxlModel& model, const MemoryNeeds& needs, const MemorySituation& situation)
        : model_(model),
          needs_(needs),
          base_(situation.base_bytes),
          text_weights_(text_weights(model)),
          unet_weights_(model.rehearsed_unet->weight_bytes()),
          vae_weights_(model.rehearsed_vae->weight_bytes()) {}

    void fill(MemoryPlan& plan) const {
        MemoryReport& report = plan.report;
        const std::uint64_t all = text_weights_ + unet_weights_ + vae_weights_;
        const bool stays = report.unet == Residency::kStays;
        // Beside what a stage itself needs.
        const auto add = [&](const char* stage, std::uint64_t own_weights, std::uint64_t work) {
            report.stages.push_back({stage, base_ + (stays ? all : own_weights) + work});
        };
        const bool streams = report.unet == Residency::kStreams;
        if (stays) add("load", all, kLoading);
        add("encode", streams ? passing_text() : text_weights_, text_work());
        add("denoise", streams ? plan.stream_budget + passing_unet() : unet_weights_, unet_work(plan));
        const std::uint64_t others = peak_of(report.stages);
        if (needs_.starts_from) add("encode_image", vae_weights_, vae_work(plan.tiles));
        add("decode", vae_weights_, vae_work(plan.tiles));
        // No larger tiles than fit, or than what the other stages take anyway.
        while (plan.tiles && shrinks(*plan.tiles) && peak_of(report.stages) > others &&
               (!stays || plan.tiles_wished || peak_of(report.stages) > report.limit_bytes)) {
            *plan.tiles = smaller(*plan.tiles);
            for (StageMemory& stage : report.stages)
                if (stage.stage == "decode" || stage.stage == "encode_image")
                    stage.bytes = base_ + (stays ? all : vae_weights_) + vae_work(plan.tiles);
        }
        report.estimated_peak_bytes = peak_of(report.stages);
    }

    // What is left for the UNet's weights while it runs.
    std::uint64_t budget(const MemoryPlan& plan, std::uint64_t limit) const {
        const std::uint64_t taken = base_ + passing_unet() + unet_work(plan);
        return limit > taken ? std::min(limit - taken, unet_weights_) : 0;
    }

  private:
    static constexpr int kSmallestTile = 48, kOverlap = 16;  // latents
    // A group of rows on its way into its weight, tables, and the like.
    static constexpr std::uint64_t kLoading = std::uint64_t{16} << 20U;

    static std::uint64_t peak_of(const std::vector<StageMemory>& stages) {
        std::uint64_t peak = 0;
        for (const StageMemory& stage : stages) peak = std::max(peak, stage.bytes);
        return peak;
    }
    static bool shrinks(const TileSizes& tiles) { return tiles.tile > kSmallestTile; }
    // One piece more in each direction, all of one size: what lies in two of them is made twice.
    TileSizes smaller(const TileSizes& tiles) const {
        const int extent = std::max(needs_.width, needs_.height) / kPixelsPerLatent;
        const int stride = tiles.tile - tiles.overlap;
        const int pieces = tiles.tile >= extent ? 1 : (extent - tiles.overlap + stride - 1) / stride;
        const int tile = (extent + pieces * kOverlap + pieces) / (pieces + 1);
        return {std::max(kSmallestTile, (tile + 7) / 8 * 8), kOverlap};
    }

    std::uint64_t passing_unet() const { return model_.rehearsed_unet->passing_bytes(); }
    std::uint64_t passing_text() const { return model_.rehearsed_text_2->passing_bytes(); }
    std::uint64_t text_work() const {
        std::uint64_t most = 0;
        for (const auto* text : {model_.rehearsed_text.get(), model_.rehearsed_text_2.get()})
            if (text != nullptr) most = std::max(most, rehearse_text(*text, needs_.halves));
        return most;
    }
    // Decoding takes more than encoding.
    std::uint64_t vae_work(const std::optional<TileSizes>& tiles) const {
        return model_.rehearsed_vae->decode_bytes(needs_.width, needs_.height, tiles);
    }
    std::uint64_t unet_work(const MemoryPlan& plan) const {
        return rehearse_unet(*model_.rehearsed_unet, std::int64_t{needs_.halves} * plan.pictures,
                             needs_.width, needs_.height);
    }

    const SdxlModel& model_;
    const MemoryNeeds& needs_;
    std::uint64_t base_;
    std::uint64_t text_weights_, unet_weights_, vae_weights_;
};

bool is_on(MemoryWish wish) {
    return wish == MemoryWish::kOn;
}

// `strict`: what is off is off.
bool is_off(MemoryWish wish, bool strict) {
    return wish == MemoryWish::kNever || (strict && wish == MemoryWish::kOff);
}

// Whether the wishes let a plan be of this step.
bool allowed(MemoryStep step, const MemoryWishes& wishes, bool strict) {
    const bool offloads = step >= MemoryStep::kOffload;
    const bool streams = step >= MemoryStep::kStream;
    const bool all_streams = is_on(wishes.sequential_cpu_offload);
    if (step == MemoryStep::kTiles && is_off(wishes.vae_tiling, strict)) return false;
    if (is_on(wishes.vae_tiling) && step < MemoryStep::kTiles) return false;
    if (is_on(wishes.cpu_offload) && !offloads) return false;
    if (all_streams && step != MemoryStep::kStreamAll) return false;
    if (is_off(wishes.sequential_cpu_offload, strict) && streams) return false;
    // Streaming is more than offloading: without the one there is no other, unless it is wished for.
    return !(is_off(wishes.cpu_offload, strict) && offloads && !all_streams);
}

MemoryPlan plan_of(MemoryStep step, const MemoryNeeds& needs, const MemoryWishes& wishes, bool strict) {
    MemoryPlan plan;
    plan.step = step;
    const bool tiles =
        is_on(wishes.vae_tiling) || (step >= MemoryStep::kTiles && !is_off(wishes.vae_tiling, strict));
    if (tiles) plan.tiles = TileSizes{};
    plan.tiles_wished = is_on(wishes.vae_tiling);
    plan.pictures = step >= MemoryStep::kOneByOne ? 1 : needs.pictures;
    plan.report.vae_tiling = tiles;
    if (step >= MemoryStep::kOffload)
        plan.report.text_encoders = plan.report.unet = plan.report.vae = Residency::kLeaves;
    if (step >= MemoryStep::kStream) plan.report.text_encoders = plan.report.unet = Residency::kStreams;
    return plan;
}

std::string refusal(const MemoryPlan& smallest, const MemoryNeeds& needs, std::uint64_t limit) {
    std::string text = "a picture of " + std::to_string(needs.width) + " x " + std::to_string(needs.height) +
                       " needs about " + gib(smallest.report.estimated_peak_bytes) + " (";
    const auto& stages = smallest.report.stages;
    for (std::size_t i = 0; i < stages.size(); ++i)
        text += (i > 0 ? ", " : "") + stages[i].stage + " " + gib(stages[i].bytes);
    return text + "), and there are " + gib(limit);
}

}  // namespace

MemoryPlan plan_memory(const SdxlModel& model, const MemoryNeeds& needs, const MemoryWishes& wishes,
                       const MemorySituation& situation, MemoryStep first) {
    const Estimate estimate(model, needs, situation);
    const std::uint64_t limit = situation.limit_bytes;
    std::optional<MemoryPlan> smallest;
    for (const bool strict : {true, false})
        for (const MemoryStep step : kSteps) {
            if (step < first || !allowed(step, wishes, strict)) continue;
            MemoryPlan plan = plan_of(step, needs, wishes, strict);
            plan.against_wish = !strict;
            if (step == MemoryStep::kStream) plan.stream_budget = estimate.budget(plan, limit);
            plan.report.limit_bytes = limit;
            estimate.fill(plan);
            if (limit == 0 || plan.report.estimated_peak_bytes <= limit) return plan;
            if (!smallest || plan.report.estimated_peak_bytes < smallest->report.estimated_peak_bytes)
                smallest = std::move(plan);
        }
    constexpr const char* kAllow = "allow cpu_offload, sequential_cpu_offload and vae_tiling";
    if (!smallest)
        fail(ErrorCode::kOutOfMemory,
             std::string("memory ran out, and the request forbids what takes less: ") + kAllow +
                 ", or ask for a smaller picture");
    fail(ErrorCode::kOutOfMemory,
         refusal(*smallest, needs, limit) + ": " +
             (smallest->step == MemoryStep::kStreamAll ? "" : kAllow + std::string(", ")) +
             "ask for a smaller picture, or free memory");
}

int pictures_together(int width, int height) {
    // More than this in one call made no picture faster on a CPU (docs/performance.md), and a call is what a
    // request of higher priority waits for.
    constexpr std::int64_t kMostPixels = 1024 * 1024;
    return static_cast<int>(std::max<std::int64_t>(1, kMostPixels / (std::int64_t{width} * height)));
}

std::uint64_t planned_weights(const SdxlModel& model) {
    return text_weights(model) + model.rehearsed_unet->weight_bytes() + model.rehearsed_vae->weight_bytes();
}

std::uint64_t resident_bytes(const SdxlModel& model) {
    std::uint64_t sum = 0;
    for (const WeightPlacement* placement : model.placements()) sum += placement->resident_bytes();
    return sum;
}

}  // namespace sdxl
