#include "ops/norm_moments.h"

#include "core/error.h"

namespace sdxl {

void NormMoments::add(const GroupMoments& moments, double values) {
    if (at_ == norms_.size()) norms_.push_back({0, moments});
    Sums& sums = norms_[at_++];
    if (sums.moments.mean.size() != moments.mean.size())
        fail(ErrorCode::kInternal, "tiles of one picture pass through different norms");
    const double all = sums.values + values;
    const double part = values / all;
    // Chan et al. 1979: moments of two sets from those of each.
    for (std::size_t i = 0; i < moments.mean.size(); ++i) {
        const double apart = moments.mean[i] - sums.moments.mean[i];
        sums.moments.mean[i] += apart * part;
        sums.moments.variance[i] = sums.moments.variance[i] * (1 - part) + moments.variance[i] * part +
                                   apart * apart * part * (1 - part);
    }
    sums.values = all;
}

const GroupMoments& NormMoments::next() {
    if (at_ >= norms_.size()) fail(ErrorCode::kInternal, "more norms than the tiles went through before");
    return norms_[at_++].moments;
}

}  // namespace sdxl
