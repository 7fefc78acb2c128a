// The weights of a loaded model under adapters: its text encoders and its UNet, each an AdaptedPart that
// other models may share.
//
// Threads: one at a time, never beside a forward of the model. Errors: as AdaptedPart.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/cancel_token.h"
#include "pipeline/adapted_part.h"

namespace sdxl {

class AdaptedWeights {
  public:
    // By AdapterPart; a refiner has no first text encoder.
    using Parts = std::array<std::shared_ptr<AdaptedPart>, kAdapterParts>;
    AdaptedWeights(Backend& backend, Parts parts);

    // Null where the model has no such part.
    AdaptedPart* part(AdapterPart part) const { return parts_[static_cast<std::size_t>(part)].get(); }

    // Which tensors of this model the adapter changes; kept while it is in use and, with a bound, after that.
    // Fails as match_adapter.
    const AdapterMatch& match(const Adapter& adapter);

    // Makes the weights those of the files with these adapters, and no others. At most `budget` bytes of
    // weights that are not in use are kept. What is as wanted already costs nothing.
    void apply(const std::vector<AdapterUse>& uses, std::uint64_t budget, const CancelToken& cancel);
    // Of all weights as they are in use: equal before an adapter came and after it went.
    std::uint64_t digest() const;
    // Forgets weights that are not in use.
    void drop_unused();
    std::uint64_t unused_bytes() const;

    // Of the last apply() that had anything to do.
    const AdaptedPart::Counts& counts() const { return counts_; }

  private:
    std::shared_ptr<const AdapterMatch> match_of(const Adapter& adapter);

    Backend& backend_;
    Parts parts_;
    struct Match {
        std::shared_ptr<const AdapterFile> file;
        std::shared_ptr<const AdapterMatch> match;
    };
    std::map<const AdapterFile*, Match> matches_;  // with the file whose bytes the deltas are
    AdaptedPart::Counts counts_;
};

}  // namespace sdxl
