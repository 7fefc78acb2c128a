#include "protocol/bodies.h"
#include "protocol/generation_fields.h"

namespace sdxl {
namespace {

void read_models(FieldReader models, GenerationRequest& request, FieldReader& body) {
    const auto named = body.text({"model_name", "model_id", "model_base", "model", "model_path"});
    if (const auto model = prefer(models.text({"base"}), named, models)) request.model = model->value;
    models.refuse({"refiner"}, "a refiner");
    models.refuse({"vae"}, "a separate VAE");
    models.finish();
}

void read_hyperparameters(FieldReader hyper, GenerationRequest& request, FieldReader& body, BodyRole role) {
    set_steps(prefer(find_steps(hyper), find_steps(body), body), request);
    set_guidance(prefer(find_guidance(hyper), find_guidance(body), body), request);
    request.seed =
        seed_or_drawn(prefer(hyper.integer({"seed"}, kSeedRange), body.integer({"seed"}, kSeedRange), body));
    set_strength(prefer(find_strength(hyper, {"strength"}), find_strength(body, {"strength"}), body), role,
                 hyper, request);
    hyper.refuse({"prompt_weighting"}, "prompt weighting");
    hyper.refuse({"clip_skip"}, "clip skip");
    hyper.finish();
}

void read_batch(FieldReader batch, GenerationRequest& request) {
    if (const auto size = batch.integer({"size", "batch_size"}, kBatchRange))
        request.batch_size = static_cast<int>(size->value);
    batch.no_effect({"parallel"}, "the pictures of a batch are made one after the other");
    batch.finish();
}

void refuse_missing_features(FieldReader& body) {
    body.refuse({"lora", "loras"}, "LoRA");
    body.refuse({"controlnet", "controlnets"}, "ControlNet");
    body.refuse({"refiner_model", "model_refiner"}, "a refiner");
    body.refuse({"vae_model", "model_vae"}, "a separate VAE");
    body.refuse({"textual_inversions"}, "textual inversion");
    body.refuse({"init_image"}, "image to image");
    body.refuse({"mask_image"}, "inpainting");
    body.refuse({"reference_images"}, "reference images");
    body.refuse({"postprocessing"}, "post-processing");
}

}  // namespace

GenerationRequest read_nested_body(FieldReader& body, BodyRole role) {
    GenerationRequest request;
    const auto prompt = body.text({"prompt"});
    if (const auto negative = body.text({"negative_prompt"})) request.negative_prompt = negative->value;
    read_models(body.object({"models"}), request, body);
    read_hyperparameters(body.object({"hyperparameters"}), request, body, role);

    FieldReader dimensions = body.object({"dimensions"});
    read_size(body, request);
    read_size(dimensions, request);
    dimensions.finish();

    read_scheduler(body, {"scheduler", "scheduler_type"}, request);
    read_sampling(body, request);
    read_batch(body.object({"batch"}), request);

    FieldReader precision = body.object({"precision"});
    read_precision(precision, {"dtype"}, request);
    read_memory_switches(precision);
    precision.finish();
    read_device(body);

    FieldReader output = body.object({"output"});
    read_output(output, request);
    output.refuse({"upscale"}, "upscaling");
    output.finish();
    if (const auto wanted = body.flag({"return_image_data", "include_image_data"}))
        request.return_image_data = wanted->value;

    refuse_missing_features(body);
    request.prompt = required_prompt(prompt, body);
    return request;
}

}  // namespace sdxl
