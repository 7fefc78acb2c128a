// NormMoments: what group norms need to know of a picture that passes through a network in tiles.
//
// A norm over a tile is not the norm over the picture: tiles would come out in different brightness. So the
// tiles pass through twice. The first time every norm, in the order in which they run, adds its tile's
// moments to those of the picture; the second time all tiles are normalised by these. The moments of later
// norms come from tiles whose earlier norms were the tiles' own, so they are close, not exact.
//
// One network's forward at a time; one thread.
#pragma once

#include <cstddef>
#include <vector>

#include "backend/backend.h"

namespace sdxl {

class NormMoments {
  public:
    // The next tile begins with the first norm again.
    void begin_tile() { at_ = 0; }
    // From now on moments are applied. REQUIRES: at least one tile went through.
    void apply() { applies_ = true; }
    bool applies() const { return applies_; }

    // The norm that runs now saw these, over so many values a group.
    void add(const GroupMoments& moments, double values);
    // The picture's moments for the norm that runs now. Fails with kInternal beyond the last.
    const GroupMoments& next();

  private:
    struct Sums {
        double values = 0;
        GroupMoments moments;  // of everything that was added
    };
    bool applies_ = false;
    std::size_t at_ = 0;
    std::vector<Sums> norms_;
};

}  // namespace sdxl
