#include "engine/checks.h"

#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "backend/rehearsal/rehearsal_backend.h"
#include "engine/additions.h"
#include "engine/picture_reader.h"
#include "pipeline/memory_plan.h"
#include "weights/checkpoint.h"
#include "weights/ip_adapter_file.h"
#include "weights/resolve_model.h"
#include "weights/torch_file.h"
#include "weights/vae_file.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;

std::uint64_t size_on_disk(const fs::path& path) {
    std::error_code ignored;
    if (!fs::is_directory(path, ignored)) {
        const auto size = fs::file_size(path, ignored);
        return ignored ? 0 : size;
    }
    std::uint64_t sum = 0;
    for (fs::recursive_directory_iterator at(path, ignored), end; at != end; at.increment(ignored))
        if (at->is_regular_file(ignored) &&
            (at->path().extension() == ".safetensors" || is_torch_file(at->path())))
            sum += at->file_size(ignored);
    return sum;
}

ModelInfo describe_model(const std::string& id, const fs::path& path) {
    const Checkpoint checkpoint = open_checkpoint(path);
    ModelInfo info;
    info.id = id;
    info.path = path.string();
    info.kind = "sdxl-" + std::string(model_kind_name(checkpoint.kind));
    info.size_bytes = size_on_disk(path);
    info.warnings = checkpoint.warnings;
    return info;
}

const ModelInfo* find_loaded(const std::vector<ModelInfo>& loaded, const std::string& name) {
    const auto found = std::find_if(loaded.begin(), loaded.end(), [&](const ModelInfo& info) {
        return info.id == name || info.path == name;
    });
    return found == loaded.end() ? nullptr : &*found;
}

// The nearest folder above that is there can be written to.
void require_writable(const fs::path& file) {
    std::error_code ignored;
    fs::path folder = file.parent_path();
    while (!folder.empty() && !fs::exists(folder, ignored) && folder != folder.parent_path())
        folder = folder.parent_path();
    if (!fs::is_directory(folder, ignored))
        fail(ErrorCode::kIo, "cannot write " + file.string() + ": " + folder.string() + " is no folder");
    if (::access(folder.c_str(), W_OK) != 0)
        fail(ErrorCode::kIo,
             "cannot write " + file.string() + ": no permission to write to " + folder.string());
}

void require_model(const ModelCache& models, const std::string& name, const ModelParts& parts = {}) {
    if (open_checkpoint(models.suite_of(name, parts).files).kind == ModelKind::kEdit)
        fail(ErrorCode::kUnsupported,
             "the model '" + name + "' edits pictures by instruction, which this worker does not do");
}

// As the engine plans it, for a model of which nothing is in memory yet.
void require_memory(const GenerationRequest& request, const ModelCache& models, const MemoryUse& use,
                    WeightForm form) {
    ModelShelf shelf;
    const auto imagined = make_rehearsal_backend();
    const auto model =
        open_sdxl_model(models.suite_of(request.model, request.parts).files, *imagined, form, shelf);
    const GenerationRequest sized = with_size_of_model(request, *model);
    MemoryNeeds needs;
    needs.width = sized.width;
    needs.height = sized.height;
    plan_memory(*model, needs, request.memory, {0, use.limit_bytes});
}

template <class Look>
void collect(std::vector<Error>& errors, Look look) {
    try {
        look();
    } catch (...) {
        errors.push_back(current_error());
    }
}

// Every file and picture that the request adds to its model.
void check_additions(const GenerationRequest& request, const EngineConfig& config,
                     const AdapterLibrary& adapters, std::vector<Error>& errors) {
    const auto each = [&](const auto& list, auto look) {
        for (const auto& item : list) collect(errors, [&] { at_fault(item.pointer, [&] { look(item); }); });
    };
    each(request.loras, [&](const LoraRequest& lora) { AdapterFile::open(adapters.path_of(lora)); });
    std::vector<GivenInversion> words;
    each(request.embeddings, [&](const EmbeddingRequest& embedding) {
        words.push_back({load_textual_inversion(adapters.path_of(embedding)), embedding.trigger});
        check_inversions(words);
    });
    each(request.controls, [&](const ControlRequest& control) { open_control(adapters.path_of(control)); });
    each(request.controls, [&](const ControlRequest& control) { check_control_picture(control, config); });
    each(request.references,
         [&](const ReferenceRequest& reference) { open_ip_adapter(adapters.path_of(reference)); });
    each(request.references, [&](const ReferenceRequest& reference) {
        for (const ImageSource& image : reference.images) read_picture(image, config);
    });
}

}  // namespace

std::vector<ModelInfo> describe_models(const ModelInfoRequest& request, const EngineConfig& config,
                                       const ModelCache& models) {
    const std::vector<ModelInfo> loaded = models.loaded();
    if (!request.model.empty()) {
        if (const ModelInfo* info = find_loaded(loaded, request.model)) return {*info};
        const auto path = models.path_of(request.model);
        if (const ModelInfo* info = find_loaded(loaded, path.string())) return {*info};
        return {describe_model(request.model, path)};
    }
    std::vector<ModelInfo> all = loaded;
    for (const auto& name : models_in(config.models_dir)) {
        ModelInfo info;
        info.id = name;
        try {
            const auto path = models.path_of(name);
            if (find_loaded(loaded, path.string()) != nullptr) continue;
            info.path = path.string();
            info = describe_model(name, path);
        } catch (...) {
            info.warnings = {current_error().message};
        }
        all.push_back(std::move(info));
    }
    return all;
}

std::vector<Error> check_generation(const GenerationRequest& request, const EngineConfig& config,
                                    const ModelCache& models, const AdapterLibrary& adapters,
                                    const MemoryUse& use, WeightForm form) {
    std::vector<Error> errors;
    collect(errors, [&] { require_model(models, request.model, request.parts); });
    collect(errors, [&] {
        if (request.refiner) require_model(models, request.refiner->model);
    });
    collect(errors, [&] {
        if (!request.vae.empty()) open_vae(models.path_of(request.vae));
    });
    GenerationRequest sized = request;
    collect(errors, [&] { read_inputs(sized, config); });
    check_additions(sized, config, adapters, errors);
    collect(errors, [&] {
        if (errors.empty()) require_memory(sized, models, use, form);
    });
    collect(errors, [&] {
        require_writable(request.save_path.empty() ? fs::absolute(fs::path(config.output_dir) / "picture.png")
                                                   : save_path_of(request, config));
    });
    return errors;
}

fs::path save_path_of(const GenerationRequest& request, const EngineConfig& config) {
    if (!config.confine) return fs::absolute(request.save_path);
    const fs::path root = fs::weakly_canonical(fs::absolute(config.output_dir));
    fs::path path = fs::weakly_canonical(root / request.save_path);
    if (!lies_in(path, root))
        fail(ErrorCode::kInvalidRequest,
             "the picture's path '" + request.save_path +
                 "' leaves the output folder; this worker is confined to it: give a path inside of " +
                 root.string());
    return path;
}

}  // namespace sdxl
