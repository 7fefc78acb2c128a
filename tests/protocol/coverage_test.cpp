// Nothing is silent: every member that a schema knows changes the request, is reported, or is the host's own
// business by the schema's word. The schema's first example of a member is sent to find out.
#include <sstream>

#include "expect_message.h"
#include "schema/schema.h"

namespace sdxl {
namespace {

using Json = nlohmann::json;

template <class T>
void tell(std::ostream& out, const std::optional<T>& value) {
    out << (value ? static_cast<int>(*value) : -1) << ' ';
}

std::string parts_of(const ModelParts& parts) {
    return parts.unet + '|' + parts.text_encoder + '|' + parts.text_encoder_2 + '|' + parts.tokenizer;
}

// Everything of a message that a member may change.
std::string told(const Message& message) {
    std::ostringstream out;
    for (const auto& warning : message.warnings) out << warning << '\n';
    out << message.worker << ' ' << message.timeout_seconds << ' ' << static_cast<int>(message.priority)
        << ' ' << message.progress.every << message.progress.preview << message.progress.preview_vae << ' '
        << message.reply.id << ' ' << message.reply.image_data << '\n';
    if (!message.command.ok()) {
        out << message.command.error().message;
    } else if (const auto* request = std::get_if<GenerationRequest>(&*message.command)) {
        out << request->prompt << ' ' << request->negative_prompt << ' ' << request->model << ' '
            << request->width << ' ' << request->height << ' ' << request->steps.value_or(-1) << ' '
            << request->guidance_scale.value_or(-1) << ' ' << request->seed << ' '
            << static_cast<int>(request->rng) << ' ' << request->batch_size << ' '
            << static_cast<int>(request->precision) << ' ' << request->save_path << ' '
            << request->return_image_data << ' ' << request->device.name << ' ';
        tell(out, request->scheduler);
        tell(out, request->sigma_schedule);
        for (const SchedulerOption& option : request->scheduler_options)
            std::visit([&](const auto& value) { out << option.name << '=' << value << ' '; }, option.value);
        for (const double t : request->timesteps) out << t << ' ';
        for (const double sigma : request->sigmas) out << sigma << ' ';
        out << request->prompt_2 << ' ' << request->negative_prompt_2 << ' ' << request->prompt_weighting
            << ' ' << request->clip_skip << ' ';
        out << request->guidance_rescale << ' ' << request->guidance_start << ' ' << request->guidance_end;
        for (const auto* sizes : {&request->sizes, &request->negative_sizes})
            for (const auto* pair : {&sizes->original, &sizes->crop, &sizes->target})
                out << ' ' << (*pair)[0] << ' ' << (*pair)[1];
        tell(out, request->timestep_spacing);
        out << request->vae << ' ' << request->init_image.path << ' ' << request->mask_image.path << ' '
            << request->strength << ' ' << static_cast<int>(request->resize_mode) << ' ' << request->mask_blur
            << ' ' << request->denoising_start << ' ' << request->denoising_end << ' '
            << request->aesthetic_score << ' ' << request->negative_aesthetic_score << ' '
            << request->pag_scale << ' ' << static_cast<int>(request->format) << ' ' << request->quality
            << ' ' << request->size_of_image << ' ';
        const MemoryWishes& memory = request->memory;
        for (const MemoryWish wish : {memory.cpu_offload, memory.sequential_cpu_offload,
                                      memory.attention_slicing, memory.vae_slicing, memory.vae_tiling})
            out << static_cast<int>(wish);
        out << parts_of(request->parts);
        for (const auto& lora : request->loras)
            out << lora.file << lora.label << lora.unet_weight << lora.text_encoder_weight
                << lora.text_encoder_2_weight << lora.block_weights.size() << ' ';
        for (const auto& embedding : request->embeddings) out << embedding.file << embedding.trigger << ' ';
        for (const auto& control : request->controls)
            out << control.model << control.type << control.image.path << control.weight << control.start
                << control.end << control.guess_mode << control.preprocessor << control.resolution
                << static_cast<int>(control.resize_mode) << control.return_image << ' ';
        for (const auto& reference : request->references)
            out << reference.model << reference.encoder << reference.images[0].path << reference.weight
                << reference.start << reference.end << ' ';
        if (request->free_u)
            out << request->free_u->b1 << request->free_u->b2 << request->free_u->s1 << request->free_u->s2
                << ' ';
        if (request->refiner)
            out << request->refiner->model << ' ' << request->refiner->switch_at << ' '
                << request->refiner->strength.value_or(-1);
    } else if (const auto* load = std::get_if<ModelLoadRequest>(&*message.command)) {
        out << load->model << ' ' << load->id << ' ' << load->refiner << ' ' << load->vae << ' '
            << static_cast<int>(load->precision) << load->device.name << parts_of(load->parts);
    } else if (const auto* unload = std::get_if<ModelUnloadRequest>(&*message.command)) {
        out << unload->model;
    } else if (const auto* info = std::get_if<ModelInfoRequest>(&*message.command)) {
        out << info->model;
    } else if (const auto* cleanup = std::get_if<CleanupRequest>(&*message.command)) {
        out << cleanup->unload_models;
    } else if (const auto* initialize = std::get_if<InitializeRequest>(&*message.command)) {
        out << initialize->device.name << initialize->device.pointer;
    } else if (const auto* cancel = std::get_if<CancelRequest>(&*message.command)) {
        out << cancel->target << cancel->all;
    }
    return out.str();
}

struct Subject {
    const char* schema;
    const char* type;  // message_type
    Json around;       // members that make it a request
};

// A value that switches a member on, whatever it is.
Json switched_on(const Json& rule) {
    const std::string types = rule["type"].dump();
    const auto takes = [&](const char* type) { return types.find(type) != std::string::npos; };
    if (takes("boolean")) return true;
    if (takes("string")) return "x";
    if (takes("integer")) return 1;
    return Json::array({takes("object") ? Json{{"name", "x"}} : Json("x")});
}

// `path` leads to the member; `base` is the data without it.
void check_member(const Subject& subject, const Json& rule, const std::vector<std::string>& path) {
    std::string where = subject.schema;
    for (const auto& name : path) where += "/" + name;
    const auto send = [&](const Json& data) {
        return told(
            parse_message(Json{{"message_type", subject.type}, {"request_id", "r"}, {"data", data}}.dump()));
    };
    const auto with = [&](const Json& value) {
        Json data = subject.around;
        Json* place = &data;
        for (const auto& name : path) place = &(*place)[name];
        *place = value;
        return data;
    };
    if (rule.contains("x-unsupported")) {
        EXPECT_NE(send(with(switched_on(rule))).find("not available"), std::string::npos) << where;
        return;
    }
    if (rule.contains("x-ignored")) return;
    // The only value of an enumeration is bound by it: any other is an error.
    if (rule.contains("enum") && rule["enum"].size() == 1) {
        EXPECT_NE(send(with("something else")).find("expected"), std::string::npos) << where;
        return;
    }
    ASSERT_TRUE(rule.contains("examples")) << where << " has no example to try";
    EXPECT_NE(send(with(rule["examples"][0])), send(subject.around))
        << where << " changes nothing in silence";
}

// The members of a list's items, each put into the first item of the list's example.
int check_items(const Subject& subject, const Json& rule, const std::vector<std::string>& path) {
    Json base = rule["examples"][0][0];
    if (base.is_string()) base = {{rule["items"]["properties"].contains("image") ? "image" : "name", base}};
    const auto send = [&](const Json& item) {
        Json data = subject.around;
        Json* place = &data;
        for (const auto& name : path) place = &(*place)[name];
        *place = Json::array({item});
        return told(
            parse_message(Json{{"message_type", subject.type}, {"request_id", "r"}, {"data", data}}.dump()));
    };
    int count = 0;
    for (const auto& [name, member] : rule["items"]["properties"].items()) {
        Json item = base;
        EXPECT_TRUE(member.contains("examples")) << path.back() << "/" << name;
        if (!member.contains("examples")) continue;
        item[name] = member["examples"][0];
        EXPECT_NE(send(item), send(base)) << path.back() << "/" << name << " changes nothing in silence";
        ++count;
    }
    return count;
}

// Returns how many members were tried.
int check_members(const Subject& subject, const Json& rule, std::vector<std::string> path) {
    int count = 0;
    for (const auto& [name, member] : rule["properties"].items()) {
        path.push_back(name);
        if (member.value("type", Json()).dump().find("array") != std::string::npos &&
            !member.contains("x-unsupported") && member.contains("items") &&
            member["items"].contains("properties") && member.contains("examples")) {
            check_member(subject, member, path);
            count += 1 + check_items(subject, member, path);
        } else if (member.contains("properties") && !member.contains("x-unsupported")) {
            count += check_members(subject, member, path);
            if (member.contains("examples")) check_member(subject, member, path);
        } else if (member["type"] != "object") {
            check_member(subject, member, path);
            ++count;
        }
        path.pop_back();
    }
    return count;
}

TEST(Coverage, EveryMemberOfABodyCounts) {
    const Subject flat{"flat_body_schema", "inference_request", {{"prompt", "q"}, {"seed", 7}}};
    EXPECT_GT(check_members(flat, Schema::named(flat.schema).document(), {}), 40);
    const Subject nested{"prompt_submission_schema",
                         "inference_request",
                         {{"prompt", "q"}, {"hyperparameters", {{"seed", 7}}}}};
    EXPECT_GT(check_members(nested, Schema::named(nested.schema).document(), {}), 25);
    const Subject enhanced{
        "enhanced_request_schema",
        "inference_request",
        {{"Hyperparameters", {{"Seed", 7}}}, {"Conditioning", Json::object()}, {"prompt", "q"}}};
    EXPECT_GT(check_members(enhanced, Schema::named("enhanced_request_schema").document(), {}), 40);
}

TEST(Coverage, EveryMemberOfTheDeliveryCounts) {
    const Subject subject{"delivery", "inference_request", {{"prompt", "p"}, {"seed", 7}}};
    const Json& document = Schema::named("delivery").document();
    // The ids inside count only where the envelope has none of its own.
    Json without_ids = document;
    for (const char* id : {"request_id", "session_id"}) without_ids["properties"].erase(id);
    without_ids["properties"]["metadata"]["properties"].erase("request_id");
    EXPECT_GT(check_members(subject, without_ids, {}), 5);
}

TEST(Coverage, EveryMemberOfACommandCounts) {
    const Subject subjects[] = {{"model_load", "model_load_request", {{"model_path", "m"}}},
                                {"model_unload", "model_unload_request", Json::object()},
                                {"model_info", "model_info_request", Json::object()},
                                {"cleanup", "cleanup_request", Json::object()},
                                {"cancel", "cancel_request", {{"request_id", "x"}}}};
    for (const Subject& subject : subjects) {
        Json document = Schema::named(subject.schema).document();
        if (document["properties"].contains("model_type"))
            document["properties"]["model_type"]["examples"] = {"x"};
        EXPECT_GT(check_members(subject, document, {}), 0) << subject.schema;
    }
}

}  // namespace
}  // namespace sdxl
