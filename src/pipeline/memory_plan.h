// The plan of a generation's memory, made before it runs: what stays, what leaves after its stage, what
// streams, and whether the VAE works in tiles; the first of these, the fastest, that fits.
//
// Estimates are of all that the worker takes: what it has beside the model, weights where they are in memory,
// and activations as the rehearsal of the networks counts them. Weights under adapters are of the size of the
// model's own. Threads: any. Errors: kOutOfMemory, with the numbers of each stage, where nothing fits.
#pragma once

#include <cstdint>
#include <optional>

#include "pipeline/sdxl_model.h"
#include "pipeline/tiles.h"
#include "request/memory.h"

namespace sdxl {

// What is to be made with one model.
struct MemoryNeeds {
    int width = 1024;
    int height = 1024;
    int halves = 2;            // entries of the batch for each picture
    int pictures = 1;          // that may share a call of the UNet
    bool starts_from = false;  // a picture that the VAE encodes
};

struct MemorySituation {
    std::uint64_t base_bytes = 0;   // in use by all but this model
    std::uint64_t limit_bytes = 0;  // for all together; 0: unknown, everything fits
};

// From fast to small. A wish may forbid a step or begin behind it.
enum class MemoryStep {
    kWhole,      // everything stays, pictures are decoded whole
    kTiles,      // the VAE works in tiles
    kOneByOne,   // and no pictures share a call
    kOffload,    // and networks leave after their stage
    kStream,     // and the weights that exceed what there is stream
    kStreamAll,  // and all of them do
};

struct MemoryPlan {
    MemoryStep step = MemoryStep::kWhole;
    MemoryReport report;
    std::optional<TileSizes> tiles;
    bool tiles_wished = false;  // then as small as the other stages' memory
    int pictures = 1;
    std::uint64_t stream_budget = 0;  // of the UNet's weights that stay while it streams
    bool against_wish = false;        // nothing fits without what the request has off

    bool stays() const { return report.unet == Residency::kStays; }
};

// `first` is the first step to consider: one behind a plan that did not hold.
MemoryPlan plan_memory(const SdxlModel& model, const MemoryNeeds& needs, const MemoryWishes& wishes,
                       const MemorySituation& situation, MemoryStep first = MemoryStep::kWhole);

// How many of them, at most, share a call of the UNet.
int pictures_together(int width, int height);

// In memory now, of the model's networks; and when all of them are. Parts that models share count for each.
std::uint64_t resident_bytes(const SdxlModel& model);
std::uint64_t planned_weights(const SdxlModel& model);

}  // namespace sdxl
