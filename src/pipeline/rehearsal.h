// Rehearsal: a model's networks once more, on a backend that counts memory (backend/rehearsal). It checks
// every tensor's shape before any weight is made, and says what the stages of a picture would take.
//
// Activations as the CPU backend's pool holds them, with what is kept for the next op. The same question
// is answered once and remembered. Refers to the weight maps it was made from. Threads: one at a time.
// Errors: Failure, kInvalidModel, for tensors that are missing or do not fit.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/rehearsal/rehearsal_backend.h"
#include "models/clip_text_model.h"
#include "models/unet_2d_condition.h"
#include "pipeline/tiles.h"
#include "pipeline/vae_model.h"
#include "pipeline/weight_placement.h"

namespace sdxl {

// REQUIRES: all of them are there.
std::uint64_t passing_bytes(const WeightPlacement& weights);

// Peaks that were found, by what was asked: a plan asks the same for each of its steps, and requests of one
// size come one after the other.
class KnownPeaks {
  public:
    using Question = std::array<std::int64_t, 4>;
    // The most memory that activations take while `run` does.
    template <class Run>
    std::uint64_t of(const Question& question, RehearsalBackend& backend, const Run& run) {
        constexpr std::size_t kMost = 256;
        if (const auto known = peaks_.find(question); known != peaks_.end()) return known->second;
        if (peaks_.size() == kMost) peaks_.clear();
        backend.begin();
        run();
        return peaks_[question] = backend.peak_bytes();
    }

  private:
    std::map<Question, std::uint64_t> peaks_;
};

// A network on the backend that counts.
template <class Network>
class Rehearsed {
  public:
    template <class Config>
    Rehearsed(WeightForm form, const WeightMap& weights, const Config& config)
        : backend_(make_rehearsal_backend()),
          form_(form),
          network_(std::make_unique<Network>(
              LoadContext{*backend_, form.compute, placement_.slots(), form.int8}, weights, config)) {
        placement_.keep(weights);
        placement_.make_all(CancelToken());
    }

    const Network& network() const { return *network_; }
    std::uint64_t weight_bytes() const { return placement_.resident_bytes(); }
    // What streaming all of its weights takes: two at a time, and what is kept for the next ones of their
    // size.
    std::uint64_t passing_bytes() const { return sdxl::passing_bytes(placement_); }
    // The most memory that activations take while `run` does, the same for the same question.
    template <class Run>
    std::uint64_t peak_of(const KnownPeaks::Question& question, const Run& run) const {
        return peaks_.of(question, *backend_, [&] { run(Context{*backend_, form_.compute}); });
    }

  private:
    std::unique_ptr<RehearsalBackend> backend_;
    WeightForm form_;
    WeightPlacement placement_;
    std::unique_ptr<Network> network_;
    mutable KnownPeaks peaks_;
};

// For encoding `prompts` prompts of one chunk.
std::uint64_t rehearse_text(const Rehearsed<ClipTextModel>& encoder, std::int64_t prompts);
// For a call of the UNet with `batch` entries for pictures of this size, in pixels, and what was made of the
// prompts before it.
std::uint64_t rehearse_unet(const Rehearsed<UNet2DConditionModel>& unet, std::int64_t batch, int width,
                            int height);

// The VAE: bytes of what it computes in, host arrays included.
class RehearsedVae {
  public:
    RehearsedVae(DType compute, const WeightMap& weights, const std::string& config,
                 VaeKind kind = VaeKind::kKl);

    // With an account of what the network takes of them.
    const WeightMap& weights() const { return vae_->weights(); }
    std::uint64_t weight_bytes() const { return vae_->placement().resident_bytes(); }
    std::uint64_t decode_bytes(int width, int height, const std::optional<TileSizes>& tiles) const;

  private:
    std::unique_ptr<RehearsalBackend> backend_;
    DType compute_;
    std::unique_ptr<VaeModel> vae_;
    mutable KnownPeaks peaks_;
};

}  // namespace sdxl
