// Keeps a generation within memory: makes its plan, makes room for it, and moves the weights of its model
// between the stages as the plan says. Loop thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/model_cache.h"
#include "pipeline/memory_plan.h"
#include "request/generation.h"

namespace sdxl {

struct EngineParts;

// What the worker uses of its device's memory, and the most that it may.
struct MemoryUse {
    std::uint64_t used_bytes = 0;
    std::uint64_t limit_bytes = 0;  // 0: unknown
};
MemoryUse memory_use(const EngineParts& parts);

// The most memory in use during its life, into `most` if that is less.
class MemoryPeak {
  public:
    MemoryPeak(const EngineParts& parts, std::uint64_t& most);
    ~MemoryPeak();
    MemoryPeak(const MemoryPeak&) = delete;
    MemoryPeak& operator=(const MemoryPeak&) = delete;

  private:
    const EngineParts& parts_;
    std::uint64_t& most_;
};

// What is done in a plan of this step: "the picture is decoded in tiles".
std::string plan_in_words(MemoryStep step);

class MemoryKeeper {
  public:
    explicit MemoryKeeper(EngineParts& parts) : parts_(parts) {}

    // For `model`, which is open and need not be in memory. Fails with kOutOfMemory, with numbers, where
    // nothing that the wishes allow fits.
    void plan(const SdxlModel& model, const MemoryNeeds& needs, const MemoryWishes& wishes);
    // The next plan that takes less in `stage` (of MemoryReport), after memory ran out there. False if there
    // is none.
    bool step_down(const SdxlModel& model, const std::string& stage);

    const MemoryPlan& current() const { return *plan_; }
    // What the plan does that the request did not ask for, and what of its wishes means nothing here.
    std::vector<std::string> warnings() const;
    // Before a unit of work: another generation may have left the model otherwise.
    void place(const SdxlModel& model) const;

    // A stage is over, or about to begin: what leaves, leaves.
    void leave_text(const SdxlModel& model) const;
    void leave_unet(const SdxlModel& model) const;
    void leave_vae(const VaeModel& vae) const;

    // Of all plans so far: the largest estimate.
    const MemoryReport& report() const { return report_; }

  private:
    void make(const SdxlModel& model, MemoryStep first);
    bool keeps_recording() const;

    EngineParts& parts_;
    MemoryNeeds needs_;
    MemoryWishes wishes_;
    std::optional<MemoryPlan> plan_;
    MemoryReport report_;
    bool ran_out_ = false;  // once
};

}  // namespace sdxl
