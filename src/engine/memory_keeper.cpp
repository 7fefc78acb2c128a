#include "engine/memory_keeper.h"

#include <algorithm>

#include "core/error.h"
#include "core/host.h"
#include "engine/generation_task.h"

namespace sdxl {

namespace {

// Zeros where the device's is the host's, of which the process has its own account.
DeviceMemory own_memory(const EngineParts& parts) {
    return parts.device.unified_memory ? DeviceMemory{} : parts.backend.memory();
}

}  // namespace

MemoryUse memory_use(const EngineParts& parts) {
    constexpr double kGigabyte = 1e9;
    const DeviceMemory device = own_memory(parts);
    MemoryUse use;
    if (device.total_bytes > 0) {
        use.used_bytes = device.total_bytes - std::min(device.total_bytes, device.available_bytes);
        use.limit_bytes = device.total_bytes;
    } else if (const std::uint64_t available = host_memory().available_bytes; available > 0) {
        use.used_bytes = process_memory().resident_bytes;
        use.limit_bytes = use.used_bytes + available;
    }
    const auto most = static_cast<std::uint64_t>(parts.config.memory_gb * kGigabyte);
    if (most > 0 && (use.limit_bytes == 0 || most < use.limit_bytes)) use.limit_bytes = most;
    return use;
}

MemoryPeak::MemoryPeak(const EngineParts& parts, std::uint64_t& most) : parts_(parts), most_(most) {
    if (own_memory(parts_).total_bytes == 0) reset_peak_memory();
}

// Of a device what is kept for the next op is not told apart from what is in use.
MemoryPeak::~MemoryPeak() {
    const DeviceMemory device = own_memory(parts_);
    const std::uint64_t now = device.total_bytes > 0 ? device.total_bytes - device.available_bytes
                                                     : process_memory().peak_resident_bytes;
    most_ = std::max(most_, now);
}

namespace {

// What hosts know of DirectML: with less than 8 GB of memory all of its weights pass through it.
MemoryWishes wishes_for(const DeviceInfo& device, std::uint64_t total_bytes, MemoryWishes wishes) {
    constexpr std::uint64_t kEnough = 8'000'000'000;
    if (device.type != "privateuseone" || total_bytes == 0 || total_bytes >= kEnough) return wishes;
    for (MemoryWish* wish : {&wishes.cpu_offload, &wishes.sequential_cpu_offload})
        if (*wish != MemoryWish::kNever) *wish = MemoryWish::kOn;
    return wishes;
}

// The CPU's always works on tiles of its scores.
bool slices_attention(const DeviceInfo& device, const MemoryWishes& wishes) {
    return device.type == "cpu" || wishes.attention_slicing != MemoryWish::kNever;
}

// For limit_attention().
std::uint64_t attention_bytes(MemoryWish slicing) {
    constexpr std::uint64_t kSlices = std::uint64_t{64} << 20, kAll = std::uint64_t{1} << 50;
    if (slicing == MemoryWish::kOn) return kSlices;
    return slicing == MemoryWish::kNever ? kAll : 0;
}

}  // namespace

void MemoryKeeper::plan(const SdxlModel& model, const MemoryNeeds& needs, const MemoryWishes& wishes) {
    needs_ = needs;
    wishes_ = wishes_for(parts_.device, own_memory(parts_).total_bytes, wishes);
    make(model, MemoryStep::kWhole);
}

namespace {

std::uint64_t bytes_in(const MemoryReport& report, const std::string& stage) {
    for (const StageMemory& one : report.stages)
        if (one.stage == stage) return one.bytes;
    return 0;
}

}  // namespace

bool MemoryKeeper::step_down(const SdxlModel& model, const std::string& stage) {
    ran_out_ = true;
    if (model.recorder) model.recorder->end();
    const std::optional<MemoryPlan> before = plan_;
    try {
        while (plan_ && plan_->step != MemoryStep::kStreamAll) {
            make(model, static_cast<MemoryStep>(static_cast<int>(plan_->step) + 1));
            if (bytes_in(plan_->report, stage) < bytes_in(before->report, stage)) return true;
        }
    } catch (const Failure&) {  // no plan is left
    }
    plan_ = before;
    return false;
}

// As if no other model were there; and then they make room for as much as that takes.
void MemoryKeeper::make(const SdxlModel& model, MemoryStep first) {
    parts_.backend.release_cached_memory();
    const MemoryUse use = memory_use(parts_);
    const std::uint64_t own = resident_bytes(model);
    const std::uint64_t others = parts_.models.resident_beside(model) + parts_.models.unused_bytes();
    MemorySituation situation;
    situation.base_bytes = use.used_bytes - std::min(use.used_bytes, own + others);
    situation.limit_bytes = use.limit_bytes;
    plan_ = plan_memory(model, needs_, wishes_, situation, first);
    plan_->report.attention_slicing = slices_attention(parts_.device, wishes_);
    const std::uint64_t peak = plan_->report.estimated_peak_bytes;
    const std::uint64_t rest = use.limit_bytes > peak ? use.limit_bytes - peak : 0;
    parts_.models.make_room(model, plan_->stays() ? planned_weights(model) : 0,
                            use.limit_bytes == 0 ? others : rest);
    // What another plan had left in memory.
    leave_text(model);
    leave_unet(model);
    leave_vae(*model.vae);
    if (plan_->report.estimated_peak_bytes >= report_.estimated_peak_bytes) report_ = plan_->report;
}

namespace {

template <class Do>
void each_text(const SdxlModel& model, const Do& act) {
    for (const AdapterPart part : {AdapterPart::kTextEncoder, AdapterPart::kTextEncoder2})
        if (AdaptedPart* weights = model.weights->part(part)) act(weights->placement());
}

}  // namespace

std::vector<std::string> MemoryKeeper::warnings() const {
    std::vector<std::string> texts;
    const MemoryStep step = plan_->step;
    const auto asked = [&](MemoryStep of, MemoryWish wish) { return step == of && wish == MemoryWish::kOn; };
    if (step != MemoryStep::kWhole && !asked(MemoryStep::kTiles, wishes_.vae_tiling) &&
        !asked(MemoryStep::kOffload, wishes_.cpu_offload) &&
        !asked(MemoryStep::kStreamAll, wishes_.sequential_cpu_offload))
        texts.push_back("memory does not hold all of it at once: " + plan_in_words(step) +
                        (plan_->against_wish ? ", although the request has that off" : ""));
    if (wishes_.vae_slicing == MemoryWish::kNever)
        texts.push_back("vae_slicing: pictures are decoded one by one all the same, which costs no time");
    if (wishes_.attention_slicing == MemoryWish::kNever && slices_attention(parts_.device, wishes_))
        texts.push_back("attention_slicing: attention works on a part of its scores at a time all the same");
    return texts;
}

std::string plan_in_words(MemoryStep step) {
    switch (step) {
        case MemoryStep::kWhole:
            return "nothing is left out";
        case MemoryStep::kTiles:
            return "the picture is decoded in tiles";
        case MemoryStep::kOneByOne:
            return "the pictures are made one by one, and decoded in tiles";
        case MemoryStep::kOffload:
            return "each network leaves memory after its stage";
        case MemoryStep::kStream:
            return "weights that exceed it are read from the model's file in each step";
        case MemoryStep::kStreamAll:
            return "all weights are read from the model's file in each step";
    }
    return "";
}

void MemoryKeeper::place(const SdxlModel& model) const {
    parts_.backend.limit_attention(attention_bytes(wishes_.attention_slicing));
    const auto put = [](WeightPlacement& placement, Residency residency, std::uint64_t budget) {
        if (residency == Residency::kStreams)
            placement.stream(budget);
        else
            placement.stay();
    };
    const MemoryReport& report = plan_->report;
    each_text(model, [&](WeightPlacement& text) { put(text, report.text_encoders, 0); });
    put(model.weights->part(AdapterPart::kUnet)->placement(), report.unet, plan_->stream_budget);
    put(model.vae->placement(), report.vae, 0);
    if (model.recorder) model.recorder->allow(!parts_.config.eager && !ran_out_);
}

// It holds what a step computes in, and is as good for the next picture: where there is plenty.
bool MemoryKeeper::keeps_recording() const {
    const MemoryReport& report = plan_->report;
    return plan_->step == MemoryStep::kWhole &&
           (report.limit_bytes == 0 || report.estimated_peak_bytes <= report.limit_bytes / 2);
}

void MemoryKeeper::leave_text(const SdxlModel& model) const {
    if (plan_->report.text_encoders == Residency::kStays) return;
    each_text(model, [](WeightPlacement& text) { text.drop_all(); });
    parts_.backend.release_cached_memory();
}

void MemoryKeeper::leave_unet(const SdxlModel& model) const {
    if (model.recorder && !keeps_recording()) model.recorder->end();
    if (plan_->report.unet != Residency::kStays)
        model.weights->part(AdapterPart::kUnet)->placement().drop_all();
    parts_.backend.release_cached_memory();
}

void MemoryKeeper::leave_vae(const VaeModel& vae) const {
    if (plan_->report.vae != Residency::kStays) vae.placement().drop_all();
    parts_.backend.release_cached_memory();
}

}  // namespace sdxl
