#include "engine/adapter_library.h"

#include <algorithm>
#include <cctype>
#include <system_error>

#include "core/error.h"
#include "core/file_stamp.h"
#include "core/host.h"
#include "engine/model_cache.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostFiles = 32;    // mapped or small, so what they take is next to nothing
constexpr std::size_t kMostNetworks = 4;  // of a kind

std::string folded(std::string_view text) {
    std::string letters;
    for (const char c : text)
        if (std::isalnum(static_cast<unsigned char>(c)) != 0)
            letters += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return letters;
}

// Lists the names of files, for a person to choose from.
std::string names_of(const std::vector<fs::path>& files) {
    std::string names;
    for (const auto& file : files) names += (names.empty() ? "'" : ", '") + file.stem().string() + "'";
    return names.empty() ? "none" : names;
}

std::vector<fs::path> named(const std::vector<fs::path>& files, const std::string& part) {
    std::vector<fs::path> found;
    if (folded(part).empty()) return found;
    for (const auto& file : files)
        if (folded(file.stem().string()).find(folded(part)) != std::string::npos) found.push_back(file);
    return found;
}

}  // namespace

fs::path AdapterLibrary::path_of(const LoraRequest& lora) const {
    return at_fault(lora.pointer,
                    [&] { return resolve_file(FileKind::kLora, lora.file, models_dir_, confine_); });
}

fs::path AdapterLibrary::path_of(const EmbeddingRequest& embedding) const {
    return at_fault(embedding.pointer, [&] {
        return resolve_file(FileKind::kEmbedding, embedding.file, models_dir_, confine_);
    });
}

fs::path AdapterLibrary::path_of(const ControlRequest& control) const {
    return at_fault(control.pointer, [&] {
        if (!control.model.empty())
            return resolve_file(FileKind::kControl, control.model, models_dir_, confine_);
        const auto files = files_of(FileKind::kControl, models_dir_);
        auto found = named(files, control.type);
        if (found.empty()) found = named(files, "union");
        if (found.size() == 1) {
            require_inside(FileKind::kControl, found.front(), found.front().filename(), models_dir_);
            return found.front();
        }
        if (found.empty())
            fail(ErrorCode::kNotFound, "there is no ControlNet for the type '" + control.type +
                                           "' in the models folder's controlnet; there: " + names_of(files) +
                                           "; name one with model_path");
        fail(ErrorCode::kInvalidRequest, "several ControlNets could be meant by the type '" + control.type +
                                             "': " + names_of(found) + "; name one with model_path");
    });
}

fs::path AdapterLibrary::path_of(const ReferenceRequest& reference) const {
    return at_fault(reference.pointer, [&] {
        if (!reference.model.empty())
            return resolve_file(FileKind::kReference, reference.model, models_dir_, confine_);
        std::vector<fs::path> files;
        for (const auto& file : files_of(FileKind::kReference, models_dir_))
            if (file.parent_path().filename() != "image_encoder" && file.filename() != "image_encoder")
                files.push_back(file);
        if (files.size() == 1) {
            require_inside(FileKind::kReference, files.front(), files.front().filename(), models_dir_);
            return files.front();
        }
        fail(files.empty() ? ErrorCode::kNotFound : ErrorCode::kInvalidRequest,
             "reference images need an IP-Adapter; in the models folder's ip_adapter: " + names_of(files) +
                 "; name one with model_path");
    });
}

template <class T, class Make>
const AdapterLibrary::Kept<T>& AdapterLibrary::get(Shelf<T>& shelf, std::size_t most, const std::string& key,
                                                   Make make) {
    const auto found =
        std::find_if(shelf.begin(), shelf.end(), [&](const Kept<T>& kept) { return kept.key == key; });
    if (found != shelf.end()) {
        std::rotate(found, found + 1, shelf.end());
        return shelf.back();
    }
    if (shelf.size() == most) shelf.erase(shelf.begin());
    Kept<T> made{key, {}};
    made.value = make(made.warnings);
    shelf.push_back(std::move(made));
    return shelf.back();
}

Adapter AdapterLibrary::read(const LoraRequest& lora) {
    const auto path = path_of(lora);
    const auto make = [&](std::vector<std::string>&) {
        Adapter adapter;
        adapter.file = std::make_shared<const AdapterFile>(AdapterFile::open(path));
        adapter.hash = adapter.file->content_hash();
        adapter.stamp = file_stamp(path);
        return adapter;
    };
    return at_fault(lora.pointer,
                    [&] { return get(loras_, kMostFiles, path.string() + file_stamp(path), make).value; });
}

std::shared_ptr<const TextualInversion> AdapterLibrary::read(const EmbeddingRequest& embedding) {
    const auto path = path_of(embedding);
    return at_fault(embedding.pointer, [&] {
        return get(embeddings_, kMostFiles, path.string() + file_stamp(path),
                   [&](std::vector<std::string>&) { return load_textual_inversion(path); })
            .value;
    });
}

std::shared_ptr<const ControlModel> AdapterLibrary::read(const ControlRequest& control,
                                                         const SdxlModel& model, const CancelToken& cancel,
                                                         std::vector<std::string>& warnings) {
    const auto path = path_of(control);
    const auto make = [&](std::vector<std::string>& own) {
        make_room(path);
        return load_control_model(path, &model.weights->part(AdapterPart::kUnet)->weights(), backend_,
                                  model.compute, cancel, own);
    };
    // A control-LoRA is made for one model, so all are kept by it.
    const std::string key = path.string() + file_stamp(path) + model.path.string() + file_stamp(model.path) +
                            std::string(dtype_name(model.compute));
    return at_fault(control.pointer, [&] {
        const auto& kept = get(controls_, kMostNetworks, key, make);
        warnings.insert(warnings.end(), kept.warnings.begin(), kept.warnings.end());
        return kept.value;
    });
}

std::shared_ptr<const ReferenceAdapter> AdapterLibrary::read(const ReferenceRequest& reference,
                                                             const SdxlModel& model,
                                                             const CancelToken& cancel,
                                                             std::vector<std::string>& warnings) {
    const auto path = path_of(reference);
    return at_fault(reference.pointer, [&] {
        ReferenceFiles files{path, {}};
        if (!reference.encoder.empty())
            files.encoder = resolve_file(FileKind::kReference, reference.encoder, models_dir_, confine_);
        const auto make = [&](std::vector<std::string>& own) {
            make_room(path);
            std::vector<std::shared_ptr<const ReferenceAdapter>> loaded;
            for (const auto& kept : references_) loaded.push_back(kept.value);
            return load_reference_adapter(files, model.unet->config(), backend_, model.compute, cancel, own,
                                          loaded);
        };
        const std::string key = path.string() + file_stamp(path) + files.encoder.string() +
                                model.path.string() + std::string(dtype_name(model.compute));
        const auto& kept = get(references_, kMostNetworks, key, make);
        warnings.insert(warnings.end(), kept.warnings.begin(), kept.warnings.end());
        const fs::path& encoder = kept.value->encoder()->path;
        if (confine_) require_inside(FileKind::kReference, encoder, encoder.filename(), models_dir_);
        return kept.value;
    });
}

// Networks that are not in use go first where memory is short.
void AdapterLibrary::make_room(const fs::path& path) {
    std::error_code ignored;
    std::uintmax_t bytes = 0;
    if (fs::is_directory(path, ignored)) {
        for (const auto& file : fs::directory_iterator(path, ignored)) bytes += file.file_size(ignored);
    } else {
        bytes = fs::file_size(path, ignored);
    }
    const std::uint64_t available = host_memory().available_bytes;
    if (available == 0 || 2 * bytes <= available) return;
    drop_networks();
    backend_.release_cached_memory();
}

void AdapterLibrary::drop_networks() {
    controls_.clear();
    references_.clear();
}

}  // namespace sdxl
