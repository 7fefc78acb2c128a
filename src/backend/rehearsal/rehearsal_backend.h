// A backend that computes nothing and counts memory: what a network would take, said before it runs.
//
// Networks run on it as on any other; its tensors have shapes and no values. Weights are checked against
// their files and not read. It hands out blocks as the CPU backend's memory pool does: freed ones are kept
// for the next user of about that size, so the peak is that of the pool. Values that come back to the host
// are zeros. Threads: one at a time.
#pragma once

#include <cstdint>
#include <memory>

#include "backend/backend.h"

namespace sdxl {

class RehearsalBackend : public Backend {
  public:
    // Forgets what is kept for the next op, and counts from what is in use now.
    virtual void begin() = 0;
    // The most bytes in use or kept since then, beyond that.
    virtual std::uint64_t peak_bytes() const = 0;
};

std::unique_ptr<RehearsalBackend> make_rehearsal_backend();

}  // namespace sdxl
