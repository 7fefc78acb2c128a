// EnhancedSDXLRequest of the C# hosts. Prompt, NegativePrompt, GuidanceScale and Steps stand in two places;
// what Hyperparameters says wins.
#include "protocol/bodies.h"

namespace sdxl {
namespace {

BodyFields read_hyperparameters(const Members& hyper) {
    BodyFields fields;
    fields.prompt = hyper.text("Prompt");
    fields.prompt_refused = hyper.refused("Prompt");
    fields.negative_prompt = hyper.text("NegativePrompt");
    fields.width = hyper.integer("Width");
    fields.height = hyper.integer("Height");
    fields.steps = hyper.integer("Steps");
    fields.guidance_scale = hyper.number("GuidanceScale");
    fields.seed = hyper.integer("Seed");
    fields.batch_size = hyper.integer("BatchSize");
    fields.strength = hyper.number("Strength");
    fields.prompt_weighting = hyper.flag("PromptWeighting");
    fields.clip_skip = hyper.integer("ClipSkip");
    return fields;
}

// Scheduler{...}, or its name alone.
BodyFields read_sampler(const Members& body) {
    const Members scheduler = body.object("Scheduler");
    BodyFields fields;
    fields.scheduler = scheduler.text("Type");
    if (!fields.scheduler) fields.scheduler = body.text("Scheduler");
    fields.steps = scheduler.integer("Steps");
    fields.guidance_scale = scheduler.number("GuidanceScale");
    fields.karras_sigmas = scheduler.flag("UseKarrasSigmas");
    fields.timestep_spacing = scheduler.text("TimestepSpacing");
    fields.rng = scheduler.text("Rng");
    return fields;
}

BodyFields read_conditioning(const Members& conditioning, Report& report) {
    BodyFields fields;
    fields.prompt = conditioning.text("Prompt");
    fields.prompt_refused = conditioning.refused("Prompt");
    fields.negative_prompt = conditioning.text("NegativePrompt");
    fields.strength = conditioning.number("Img2ImgStrength");
    fields.init_image = conditioning.text("InitImage");
    fields.mask_image = conditioning.text("InpaintMask");
    fields.mask_blur = conditioning.number("MaskBlur");
    fields.loras = read_loras(conditioning, "LoRAs", report);
    fields.embeddings = read_embeddings(conditioning, "TextualInversions", report);
    fields.controls = read_controls(conditioning, "ControlNets", report);
    fields.references = read_references(conditioning, "ReferenceImages", report);
    return fields;
}

BodyFields read_the_rest(const Members& body) {
    BodyFields fields;
    fields.model = body.object("Model").text("Base");
    fields.unet = body.object("Model").text("Unet");
    fields.text_encoder = body.object("Model").text("TextEncoder");
    fields.text_encoder_2 = body.object("Model").text("TextEncoder2");
    fields.tokenizer = body.object("Model").text("Tokenizer");
    if (!fields.model) fields.model = body.text("Model");
    fields.refiner = body.object("Model").text("Refiner");
    fields.vae = body.object("Model").text("Vae");
    fields.precision = body.object("Performance").text("Dtype");
    fields.memory = read_memory(body.object("Performance"));
    fields.device = body.object("Performance").text("Device");
    fields.save_path = body.object("Output").text("SavePath");
    fields.format = body.object("Output").text("Format");
    fields.quality = body.object("Output").integer("Quality");
    fields.return_image_data = body.object("Output").flag("ReturnImageData");
    return fields;
}

}  // namespace

BodyFields read_enhanced_body(const Members& body, Report& report) {
    BodyFields fields = read_hyperparameters(body.object("Hyperparameters"));
    fields.fill_from(read_sampler(body), &report);
    fields.fill_from(read_conditioning(body.object("Conditioning"), report), &report);
    fields.fill_from(read_the_rest(body), &report);
    BodyFields post;
    post.format = body.object("PostProcessing").text("OutputFormat");
    post.quality = body.object("PostProcessing").integer("Quality");
    fields.fill_from(post, &report);
    return fields;
}

}  // namespace sdxl
