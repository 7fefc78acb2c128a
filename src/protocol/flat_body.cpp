#include "protocol/bodies.h"
#include "protocol/generation_fields.h"

namespace sdxl {
namespace {

void refuse_missing_features(FieldReader& body) {
    body.refuse({"loras", "lora"}, "LoRA");
    body.refuse({"controlnets", "controlnet"}, "ControlNet");
    body.refuse({"init_image", "image"}, "image to image");
    body.refuse({"mask_image", "inpaint_mask"}, "inpainting");
    body.refuse({"refiner_model", "model_refiner"}, "a refiner");
    body.refuse({"vae_model", "model_vae"}, "a separate VAE");
    body.refuse({"textual_inversions"}, "textual inversion");
    body.refuse({"reference_images"}, "reference images");
    body.refuse({"prompt_weighting"}, "prompt weighting");
    body.refuse({"postprocessing", "upscale"}, "post-processing");
    if (const auto skip = body.integer({"clip_skip"}, {0, 12, 1}); skip && skip->value > 0)
        body.reject(ErrorCode::kUnsupported,
                    "clip_skip: not available in this worker yet; leave it out or send 0", skip->pointer);
}

}  // namespace

GenerationRequest read_flat_body(FieldReader& body, BodyRole role) {
    GenerationRequest request;
    const auto prompt = body.text({"prompt"});
    if (const auto negative = body.text({"negative_prompt"})) request.negative_prompt = negative->value;
    if (const auto model = body.text({"model_name", "model_id", "model_base", "model", "model_path"}))
        request.model = model->value;
    read_size(body, request);
    set_steps(find_steps(body), request);
    set_guidance(find_guidance(body), request);
    const auto seed = body.integer({"seed"}, kSeedRange);
    if (const auto count = body.integer({"batch_size", "num_images"}, kBatchRange))
        request.batch_size = static_cast<int>(count->value);
    read_scheduler(body, {"scheduler", "scheduler_type"}, request);
    read_sampling(body, request);
    read_precision(body, {"dtype", "precision"}, request);
    read_device(body);
    read_output(body, request);
    read_memory_switches(body);
    set_strength(find_strength(body, {"strength"}), role, body, request);
    body.no_effect({"tags"}, "this worker keeps no tags");
    refuse_missing_features(body);
    request.prompt = required_prompt(prompt, body);
    request.seed = seed_or_drawn(seed);
    return request;
}

}  // namespace sdxl
