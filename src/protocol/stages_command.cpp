// data.type multi_stage: generations of which each takes up the picture of the one before.
#include <optional>
#include <utility>

#include "protocol/commands.h"

namespace sdxl {
namespace {

constexpr double kDefaultStrength = 0.3;

BodyFields read_part(const SentObject& sent, std::optional<Field<std::string>>& name, Report& report) {
    const BodyKind kind = body_kind(sent);
    std::vector<const Schema*> schemas{&Schema::named("stage")};
    for (const Schema* schema : body_schemas(kind)) schemas.push_back(schema);
    const Canonical canonical = normalise(sent, schemas, report);
    name = Members(canonical).text("name");
    return read_body(kind, canonical, report);
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

    GenerationStage read(const SentObject& sent, std::size_t index) {
        std::optional<Field<std::string>> name;
        BodyFields fields = read_part(sent, name, report_);
        one_picture(fields, report_);
        const bool last = index + 1 == count_;
        warn_about_files(fields, last);
        BodyFields base = base_;
        if (!last) base.save_path.reset();
        if (!last) base.return_image_data.reset();
        // A strength beside the stages is meant for those that start from a picture.
        if (index == 0) base.strength.reset();
        fields.fill_from(base, nullptr);
        if (index == 0) first_ = fields;
        check_size(fields);
        GenerationRequest request =
            complete(fields, index == 0 ? StartFrom::kNoise : StartFrom::kPicture, sent.pointer, report_);
        if (index > 0 && !fields.strength) request.strength = kDefaultStrength;
        request.keep_pixels = !last;
        request.id = input_.reply.id;
        return {name ? name->value : "stage " + std::to_string(index + 1), std::move(request)};
    }

  private:
    void warn_about_files(const BodyFields& fields, bool last) {
        if (!last && fields.return_image_data && fields.return_image_data->value)
            report_.warn(fields.return_image_data->pointer,
                         "has no effect: the answer carries the last stage's picture");
        if (!last && fields.format && !fields.save_path)
            report_.warn(fields.format->pointer, "has no effect: this stage writes no file");
    }

    // Until pictures can be resized, a stage takes up its predecessor's as it is.
    void check_size(const BodyFields& fields) {
        const GenerationRequest defaults;
        const auto check = [&](const auto& mine, const auto& firsts, int otherwise) {
            const std::int64_t expected = firsts ? firsts->value : otherwise;
            if (mine && mine->value != expected)
                report_.error(ErrorCode::kUnsupported,
                              "expected the first stage's size, which is " + std::to_string(expected) +
                                  " here, found " + std::to_string(mine->value) +
                                  ": stages of different sizes are not available in this worker yet",
                              mine->pointer);
        };
        check(fields.width, first_.width, defaults.width);
        check(fields.height, first_.height, defaults.height);
    }

    const CommandInput& input_;
    BodyFields base_;
    BodyFields first_;
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
    for (std::size_t i = 0; i < stages->size(); ++i)
        if ((*stages)[i].is_object())
            request.stages.push_back(reader.read({&(*stages)[i], pointer + "/" + std::to_string(i)}, i));
    return request;
}

}  // namespace sdxl
