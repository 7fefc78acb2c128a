#include "protocol/bodies.h"

namespace sdxl {

// prompt, negative_prompt, model_name and scheduler stand beside the objects, where the flat body has them.
BodyFields read_nested_body(const Members& body, Report& report) {
    BodyFields fields;
    const Members models = body.object("models");
    fields.model = models.text("base");
    fields.unet = models.text("unet");
    fields.text_encoder = models.text("text_encoder");
    fields.text_encoder_2 = models.text("text_encoder_2");
    fields.tokenizer = models.text("tokenizer");
    fields.refiner = models.text("refiner");
    fields.vae = models.text("vae");

    const Members hyper = body.object("hyperparameters");
    fields.steps = hyper.integer("num_inference_steps");
    fields.guidance_scale = hyper.number("guidance_scale");
    fields.seed = hyper.integer("seed");
    fields.strength = hyper.number("strength");
    fields.prompt_weighting = hyper.flag("prompt_weighting");
    fields.clip_skip = hyper.integer("clip_skip");

    const Members dimensions = body.object("dimensions");
    fields.width = dimensions.integer("width");
    fields.height = dimensions.integer("height");

    const Members output = body.object("output");
    fields.format = output.text("format");
    fields.quality = output.integer("quality");
    fields.save_path = output.text("save_path");
    fields.return_image_data = output.flag("return_image_data");

    fields.batch_size = body.object("batch").integer("size");
    fields.precision = body.object("precision").text("dtype");
    fields.memory = read_memory(body.object("precision"));
    fields.loras = read_loras(body, "lora", report);
    fields.controls = read_controls(body, "controlnet", report);
    return fields;
}

}  // namespace sdxl
