#include "protocol/bodies.h"

namespace sdxl {
namespace {

// true takes the factors for SDXL, an object sets some of them.
std::optional<Field<FreeUFactors>> read_free_u(const Members& body) {
    if (const auto on = body.flag("freeu")) {
        if (!on->value) return std::nullopt;
        return Field<FreeUFactors>{{}, on->pointer};
    }
    const Members factors = body.object("freeu");
    FreeUFactors read;
    std::string pointer;
    const auto take = [&](const char* name, double& factor) {
        const auto field = factors.number(name);
        if (!field) return;
        factor = field->value;
        pointer = factors.pointer();
    };
    take("b1", read.b1);
    take("b2", read.b2);
    take("s1", read.s1);
    take("s2", read.s2);
    if (pointer.empty()) return std::nullopt;
    return Field<FreeUFactors>{read, pointer};
}

}  // namespace

BodyFields read_flat_body(const Members& body, Report& report) {
    BodyFields fields;
    fields.prompt = body.text("prompt");
    fields.prompt_refused = body.refused("prompt");
    fields.negative_prompt = body.text("negative_prompt");
    fields.prompt_2 = body.text("prompt_2");
    fields.negative_prompt_2 = body.text("negative_prompt_2");
    fields.prompt_weighting = body.flag("prompt_weighting");
    fields.clip_skip = body.integer("clip_skip");
    fields.model = body.text("model_name");
    fields.unet = body.text("unet_model");
    fields.text_encoder = body.text("text_encoder_model");
    fields.text_encoder_2 = body.text("text_encoder_2_model");
    fields.tokenizer = body.text("tokenizer");
    fields.vae = body.text("vae_model");
    fields.refiner = body.text("refiner_model");
    fields.refiner_strength = body.number("refiner_strength");
    fields.denoising_start = body.number("denoising_start");
    fields.denoising_end = body.number("denoising_end");
    fields.aesthetic_score = body.number("aesthetic_score");
    fields.negative_aesthetic_score = body.number("negative_aesthetic_score");
    fields.init_image = body.text("init_image");
    fields.mask_image = body.text("mask_image");
    fields.mask_blur = body.number("mask_blur");
    fields.resize_mode = body.text("resize_mode");
    fields.pag_scale = body.number("pag_scale");
    fields.free_u = read_free_u(body);
    fields.memory = read_memory(body);
    fields.width = body.integer("width");
    fields.height = body.integer("height");
    fields.steps = body.integer("steps");
    fields.guidance_scale = body.number("guidance_scale");
    fields.seed = body.integer("seed");
    fields.batch_size = body.integer("batch_size");
    fields.scheduler = body.text("scheduler");
    fields.karras_sigmas = body.flag("use_karras_sigmas");
    fields.sigma_schedule = body.text("sigma_schedule");
    fields.timestep_spacing = body.text("timestep_spacing");
    const Members config = body.object("scheduler_config");
    fields.scheduler_options = read_scheduler_config(config);
    if (!fields.karras_sigmas) fields.karras_sigmas = config.flag("use_karras_sigmas");
    if (!fields.timestep_spacing) fields.timestep_spacing = config.text("timestep_spacing");
    fields.timesteps = body.numbers("timesteps");
    fields.sigmas = body.numbers("sigmas");
    fields.guidance_rescale = body.number("guidance_rescale");
    fields.guidance_start = body.number("guidance_start");
    fields.guidance_end = body.number("guidance_end");
    fields.original_size = body.numbers("original_size");
    fields.crop = body.numbers("crops_coords_top_left");
    fields.target_size = body.numbers("target_size");
    fields.negative_original_size = body.numbers("negative_original_size");
    fields.negative_crop = body.numbers("negative_crops_coords_top_left");
    fields.negative_target_size = body.numbers("negative_target_size");
    fields.rng = body.text("rng");
    fields.strength = body.number("strength");
    fields.precision = body.text("dtype");
    fields.device = body.text("device");
    fields.format = body.text("format");
    fields.quality = body.integer("quality");
    fields.save_path = body.text("save_path");
    fields.return_image_data = body.flag("return_image_data");
    fields.loras = read_loras(body, "loras", report);
    fields.embeddings = read_embeddings(body, "textual_inversions", report);
    fields.controls = read_controls(body, "controlnets", report);
    fields.references = read_references(body, "reference_images", report);
    return fields;
}

}  // namespace sdxl
