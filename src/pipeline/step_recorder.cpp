#include "pipeline/step_recorder.h"

#include <bit>

#include "core/error.h"

namespace sdxl {
namespace {

void append(std::string& text, std::int64_t value) {
    text += std::to_string(value) + " ";
}

void append(std::string& text, float value) {
    append(text, std::int64_t{std::bit_cast<std::int32_t>(value)});
}

}  // namespace

StepRecorder::StepRecorder(Backend& backend, const UNet2DConditionModel& unet, const WeightPlacement& weights)
    : backend_(backend), unet_(unet), weights_(weights) {}

std::vector<Tensor*> StepRecorder::tensors_of(Pass& pass) {
    std::vector<Tensor*> all{&pass.input.latent, &pass.input.time.timesteps, &pass.input.time.guidance,
                             &pass.conditioning.add_embedding, &pass.options.control.mid};
    const auto add = [&](std::vector<Tensor>& tensors) {
        for (Tensor& tensor : tensors) all.push_back(&tensor);
    };
    add(pass.options.control.down);
    add(pass.options.control.adapter);
    add(pass.conditioning.kv);
    for (auto& image : pass.conditioning.images) add(image);
    return all;
}

std::string StepRecorder::kind_of(Pass& pass) const {
    const UNetOptions& options = pass.options;
    std::string kind;
    append(kind, static_cast<std::int64_t>(weights_.version()));
    append(kind, options.perturbed);
    for (const float scale : options.image_scales) append(kind, scale);
    if (options.free_u)
        for (const SkipBalance& balance : *options.free_u) {
            append(kind, balance.backbone);
            append(kind, balance.skip);
        }
    kind += "|";
    append(kind, static_cast<std::int64_t>(options.control.down.size()));
    append(kind, static_cast<std::int64_t>(options.control.adapter.size()));
    append(kind, static_cast<std::int64_t>(pass.conditioning.images.size()));
    for (const Tensor* tensor : tensors_of(pass))
        kind += tensor->defined() ? std::string(dtype_name(tensor->dtype())) + tensor->shape().str() : "-";
    return kind;
}

Tensor StepRecorder::run(const Context& ctx, const Pass& pass) const {
    return unet_.forward(ctx, pass.input, pass.conditioning, pass.options);
}

Tensor StepRecorder::forward(const Context& ctx, const UNetInput& input, const UNetConditioning& conditioning,
                             const UNetOptions& options) {
    Pass pass{input, conditioning, options};
    const bool wanted =
        allowed_ && failure_.empty() && !weights_.streams() && ctx.trace == nullptr && ctx.norms == nullptr;
    if (!wanted) {
        end();
        return run(ctx, pass);
    }
    if (!weights_.complete() || kind_of(pass) != kind_) {
        end();
        Tensor result = run(ctx, pass);
        kind_ = kind_of(pass);  // with the weights that were made meanwhile
        return result;
    }
    if (ctx.cancel != nullptr) ctx.cancel->check();
    if (!recording_ && !record(ctx, pass)) return run(ctx, pass);
    fill(pass);
    ++replays_;
    return recording_->replay();
}

// What was computed in before goes back first: the recording takes as much for itself.
bool StepRecorder::record(const Context& ctx, const Pass& pass) {
    try {
        backend_.release_cached_memory();
        own_ = std::make_unique<Pass>(pass);
        for (Tensor* tensor : tensors_of(*own_))
            if (tensor->defined()) *tensor = backend_.empty(tensor->shape(), tensor->dtype());
        recording_ = backend_.recorder()->record(
            [this, own = own_.get(), plain = Context{backend_, ctx.compute}] { return run(plain, *own); });
        return true;
    } catch (const Failure& failure) {
        failure_ = failure.error().message;
        end();
        return false;
    }
}

// A tensor is written once, by the op that makes it.
void StepRecorder::fill(Pass& pass) {
    const std::vector<Tensor*> from = tensors_of(pass), to = tensors_of(*own_);
    sources_.resize(from.size());
    for (std::size_t i = 0; i < from.size(); ++i) {
        if (!from[i]->defined()) continue;
        Source& source = sources_[i];
        if (source.storage.lock() == from[i]->storage() && source.offset_bytes == from[i]->offset_bytes())
            continue;
        backend_.recorder()->copy(*from[i], *to[i]);
        source = {from[i]->storage(), from[i]->offset_bytes()};
    }
}

void StepRecorder::allow(bool allowed) {
    allowed_ = allowed;
    if (!allowed) end();
}

void StepRecorder::end() {
    recording_.reset();
    own_.reset();
    sources_.clear();
    kind_.clear();
}

}  // namespace sdxl
