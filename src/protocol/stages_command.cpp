// data.type multi_stage: generations of which each takes up the picture of the one before.
#include <optional>
#include <utility>

#include "protocol/commands.h"

namespace sdxl {
namespace {

constexpr double kDefaultStrength = 0.3;

// What stands beside the body of a stage.
struct StageFields {
    std::optional<Field<std::string>> name;
    std::optional<Field<std::string>> take_up;
    std::optional<Field<double>> scale;
    BodyFields body;
};

StageFields read_part(const SentObject& sent, Report& report) {
    const BodyKind kind = body_kind(sent);
    std::vector<const Schema*> schemas{&Schema::named("stage")};
    for (const Schema* schema : body_schemas(kind)) schemas.push_back(schema);
    const Canonical canonical = normalise(sent, schemas, report);
    const Members members(canonical);
    return {members.text("name"), members.text("take_up"), members.number("scale"),
            read_body(kind, canonical, report)};
}

void one_picture(BodyFields& fields, Report& report) {
    if (fields.batch_size && fields.batch_size->value > 1)
        report.warn(fields.batch_size->pointer, "has no effect: every stage makes one picture");
    fields.batch_size.reset();
}

class StageReader {
  public:
    StageReader(const CommandInput& input, BodyFields base, std::size_t count, Report& report)
        : input_(input), base_(std::move(base)), count_(count), report_(report) {
        one_picture(base_, report_);
    }

    // `before` is the stage before, null for the first; it is told what to keep for this one.
    GenerationStage read(const SentObject& sent, std::size_t index, GenerationRequest* before) {
        StageFields stage = read_part(sent, report_);
        BodyFields& fields = stage.body;
        one_picture(fields, report_);
        const bool last = index + 1 == count_;
        warn_about_files(fields, last);
        const bool own_start = fields.denoising_start && fields.denoising_start->value > 0;
        fields.fill_from(base_for(index, last, stage.scale.has_value()), nullptr);
        GenerationRequest request =
            complete(fields, index == 0 ? StartFrom::kNoise : StartFrom::kStage, sent.pointer, report_);
        if (before == nullptr)
            check_first(stage);
        else
            follow(stage, own_start, *before, request);
        if (last && request.denoising_end < 1)
            report_.error(ErrorCode::kInvalidRequest,
                          "expected the last stage to take all noise away (denoising_end 1), found less",
                          fields.denoising_end->pointer);
        request.id = input_.reply.id;
        return {stage.name ? stage.name->value : "stage " + std::to_string(index + 1), std::move(request)};
    }

  private:
    // What this stage takes from around the list.
    BodyFields base_for(std::size_t index, bool last, bool scaled) const {
        BodyFields base = base_;
        if (!last) base.save_path.reset();
        if (!last) base.return_image_data.reset();
        if (index == 0) {
            // A strength beside the stages is meant for those that start from a picture.
            if (!base.init_image) base.strength.reset();
            return base;
        }
        base.init_image.reset();
        if (scaled) base.width.reset();
        if (scaled) base.height.reset();
        return base;
    }

    void check_first(const StageFields& stage) {
        const char* why = "has no effect: there is no stage before this one";
        if (stage.take_up) report_.warn(stage.take_up->pointer, why);
        if (stage.scale) report_.warn(stage.scale->pointer, why);
        if (stage.body.denoising_start && stage.body.denoising_start->value > 0)
            report_.warn(stage.body.denoising_start->pointer, why);
    }

    void follow(const StageFields& stage, bool own_start, GenerationRequest& before,
                GenerationRequest& request) {
        if (!stage.body.strength) request.strength = kDefaultStrength;
        if (stage.body.init_image)
            report_.warn(stage.body.init_image->pointer,
                         "has no effect: a stage takes up what the one before made");
        request.init_image = {};
        if (stage.scale && request.size_of_image)
            request.size_scale = stage.scale->value;
        else if (stage.scale)
            report_.warn(stage.scale->pointer, "has no effect: the stage says its width or height");
        const bool latents =
            stage.take_up ? stage.take_up->value == "latents" : before.denoising_end < 1 || own_start;
        if (!latents && before.denoising_end < 1)
            report_.error(ErrorCode::kInvalidRequest,
                          "expected take_up 'latents': the stage before leaves noise in them (denoising_end)",
                          stage.take_up->pointer);
        if (before.denoising_end < 1 && !own_start) request.denoising_start = before.denoising_end;
        if (request.denoising_start > 0 && !latents) {
            report_.warn(stage.body.denoising_start->pointer, "has no effect: this stage takes up a picture");
            request.denoising_start = 0;
        }
        if (latents && stage.body.mask_image) {
            report_.warn(stage.body.mask_image->pointer,
                         "has no effect: this stage takes up latents, and a mask lies over a picture");
            request.mask_image = {};
        }
        before.keep_latents = latents;
        before.keep_pixels = !latents;
    }

    void warn_about_files(const BodyFields& fields, bool last) {
        if (!last && fields.return_image_data && fields.return_image_data->value)
            report_.warn(fields.return_image_data->pointer,
                         "has no effect: the answer carries the last stage's picture");
        if (!last && fields.format && !fields.save_path)
            report_.warn(fields.format->pointer, "has no effect: this stage writes no file");
    }

    const CommandInput& input_;
    BodyFields base_;
    std::size_t count_;
    Report& report_;
};

}  // namespace

Command read_stages(const CommandInput& input, const BodyFields& base, Report& report) {
    StagesRequest request;
    std::string pointer;
    const Json* stages = find_list(input, "stages", pointer);
    if (stages == nullptr) {
        report.missing("expected 'stages', an array of 1 to 8 bodies, found none",
                       input.levels.back().sent.pointer);
        return request;
    }
    StageReader reader(input, base, stages->size(), report);
    // Those that are no objects have been reported.
    for (std::size_t i = 0; i < stages->size(); ++i) {
        if (!(*stages)[i].is_object()) continue;
        GenerationRequest* before = request.stages.empty() ? nullptr : &request.stages.back().request;
        GenerationStage stage = reader.read({&(*stages)[i], pointer + "/" + std::to_string(i)}, i, before);
        request.stages.push_back(std::move(stage));
    }
    return request;
}

}  // namespace sdxl
