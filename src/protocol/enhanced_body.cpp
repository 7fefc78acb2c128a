// EnhancedSDXLRequest of the C# hosts. Prompt, NegativePrompt, GuidanceScale and Steps stand in two places;
// what Hyperparameters says wins.
#include "protocol/bodies.h"
#include "protocol/generation_fields.h"

namespace sdxl {
namespace {

void read_model(FieldReader& body, GenerationRequest& request) {
    if (!body.has_object("Model")) {
        if (const auto name = body.text({"Model", "model_name", "model_id", "model_base", "model_path"}))
            request.model = name->value;
        return;
    }
    FieldReader model = body.object({"Model"});
    if (const auto base = model.text({"Base"})) request.model = base->value;
    model.refuse({"Refiner"}, "a refiner");
    model.refuse({"Vae"}, "a separate VAE");
    model.refuse({"Tokenizer"}, "another tokenizer than the model's");
    model.refuse({"TextEncoder", "TextEncoder2"}, "another text encoder than the model's");
    model.finish();
}

// Scheduler{...}, or its name alone.
FieldReader scheduler_of(FieldReader& body, GenerationRequest& request) {
    if (body.has_object("Scheduler") || !body.has("Scheduler")) return body.object({"Scheduler"});
    read_scheduler(body, {"Scheduler"}, request);
    return body.object({"SchedulerOptions"});
}

void read_sampler(FieldReader& scheduler, FieldReader& hyper, GenerationRequest& request) {
    read_scheduler(scheduler, {"Type"}, request);
    read_sampling(scheduler, request);
    set_steps(prefer(find_steps(hyper), find_steps(scheduler), hyper), request);
    set_guidance(prefer(find_guidance(hyper), find_guidance(scheduler), hyper), request);
    scheduler.refuse({"SnrWeighting"}, "SNR weighting");
    scheduler.finish();
}

void read_prompts(FieldReader& hyper, FieldReader& conditioning, FieldReader& body,
                  GenerationRequest& request) {
    const auto prompt = prefer(prefer(hyper.text({"Prompt"}), conditioning.text({"Prompt"}), hyper),
                               body.text({"Prompt"}), hyper);
    const auto negative =
        prefer(prefer(hyper.text({"NegativePrompt"}), conditioning.text({"NegativePrompt"}), hyper),
               body.text({"NegativePrompt"}), hyper);
    if (negative) request.negative_prompt = negative->value;
    request.prompt = required_prompt(prompt, body);
}

void read_hyperparameters(FieldReader& hyper, GenerationRequest& request) {
    read_size(hyper, request);
    request.seed = seed_or_drawn(hyper.integer({"Seed"}, kSeedRange));
    if (const auto count = hyper.integer({"BatchSize"}, kBatchRange))
        request.batch_size = static_cast<int>(count->value);
    hyper.refuse({"PromptWeighting"}, "prompt weighting");
    hyper.refuse({"ClipSkip"}, "clip skip");
    hyper.finish();
}

void read_conditioning(FieldReader& conditioning) {
    conditioning.refuse({"LoRAs"}, "LoRA");
    conditioning.refuse({"ControlNets"}, "ControlNet");
    conditioning.refuse({"TextualInversions"}, "textual inversion");
    conditioning.refuse({"ReferenceImages"}, "reference images");
    conditioning.refuse({"InitImage"}, "image to image");
    conditioning.refuse({"InpaintMask"}, "inpainting");
    if (const auto blur = conditioning.number({"MaskBlur"}, 0, 4096); blur && blur->value > 0)
        conditioning.warn(blur->pointer, "has no effect: there is no mask");
    conditioning.finish();
}

void read_performance(FieldReader performance, GenerationRequest& request) {
    read_precision(performance, {"Dtype"}, request);
    read_memory_switches(performance);
    read_device(performance);
    performance.finish();
}

void read_postprocessing(FieldReader& body, GenerationRequest& request) {
    if (!body.has_object("Postprocessing")) {
        body.refuse({"PostProcessing"}, "post-processing");  // a list of steps
        return;
    }
    FieldReader post = body.object({"Postprocessing"});
    post.refuse({"SafetyChecker"}, "the safety checker");
    post.refuse({"Upscaler"}, "upscaling");
    post.refuse({"AutoContrast"}, "automatic contrast");
    post.refuse({"Watermark"}, "a watermark");
    if (const auto factor = post.number({"UpscaleFactor"}, 0, 64);
        factor && factor->value != 1 && factor->value != 0)
        post.warn(factor->pointer, "has no effect: there is no Upscaler");
    read_output(post, request);
    post.finish();
}

}  // namespace

GenerationRequest read_enhanced_body(FieldReader& body, BodyRole role) {
    GenerationRequest request;
    read_model(body, request);
    FieldReader scheduler = scheduler_of(body, request);
    FieldReader hyper = body.object({"Hyperparameters"});
    FieldReader conditioning = body.object({"Conditioning"});
    read_sampler(scheduler, hyper, request);
    read_prompts(hyper, conditioning, body, request);
    set_strength(
        prefer(find_strength(hyper, {"Strength"}), find_strength(conditioning, {"Img2ImgStrength"}), hyper),
        role, hyper, request);
    read_hyperparameters(hyper, request);
    read_conditioning(conditioning);
    read_performance(body.object({"Performance"}), request);
    read_postprocessing(body, request);
    FieldReader output = body.object({"Output"});
    read_output(output, request);
    output.finish();
    if (const auto wanted = body.flag({"ReturnImageData", "IncludeImageData"}))
        request.return_image_data = wanted->value;
    read_sampling(body, request);
    return request;
}

}  // namespace sdxl
