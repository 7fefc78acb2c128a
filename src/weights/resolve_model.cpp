#include "weights/resolve_model.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <set>
#include <system_error>
#include <vector>

#include "core/edit_distance.h"
#include "core/error.h"
#include "core/file_stamp.h"
#include "weights/safetensors_header.h"
#include "weights/torch_file.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kModelsShown = 10;
constexpr std::size_t kMaxNameBytes = 1024;
// The first goes before the others where a name has several files.
constexpr std::string_view kExtensions[] = {".safetensors", ".ckpt", ".pt", ".pth", ".bin"};
constexpr std::string_view kHubPrefix = "models--";
constexpr int kMostDepth = 3;             // of folders below a kind's own
constexpr std::size_t kMostFiles = 4096;  // that are looked at there

// What a kind is called, and its folders under the models folder: the web UIs' and ours.
struct Kind {
    std::string_view noun;
    std::vector<std::string_view> folders;
};
const Kind& kind_of(FileKind kind) {
    static const Kind kinds[] = {
        {"model", {}},
        {"LoRA", {"loras", "lora", "Lora", "LoRA", "LyCORIS"}},
        {"embedding", {"embeddings", "Embeddings", "textual_inversion"}},
        {"ControlNet", {"controlnet", "controlnets", "ControlNet", "t2i_adapter"}},
        {"IP-Adapter", {"ip_adapter", "ip-adapter", "ipadapter", "IP-Adapter"}},
    };
    return kinds[static_cast<std::size_t>(kind)];
}

bool is_weights_file(const fs::path& path) {
    return path.extension() == kExtensions[0] || is_torch_file(path);
}

// What a whole model comes in: .bin and .pt are parts of models.
bool is_model_file(const fs::path& path) {
    return path.extension() == kExtensions[0] || path.extension() == ".ckpt";
}

// Entries of a folder; none if it cannot be read.
std::vector<fs::path> entries(const fs::path& folder) {
    std::error_code ignored;
    std::vector<fs::path> paths;
    for (fs::directory_iterator at(folder, ignored), end; at != end; at.increment(ignored))
        paths.push_back(at->path());
    std::ranges::sort(paths);
    return paths;
}

void check_name(const std::string& name) {
    if (name.empty()) fail(ErrorCode::kInvalidRequest, "the model's name is empty");
    if (name.size() > kMaxNameBytes || name.find('\0') != std::string::npos)
        fail(ErrorCode::kInvalidRequest, "the model's name is too long or holds a zero byte");
    const fs::path path(name);
    if (path.is_relative() && std::ranges::find(path, fs::path("..")) != path.end())
        fail(ErrorCode::kInvalidRequest, "the model's name " + quoted_name(name) + " must not contain '..'");
}

// The newest snapshot in a hub cache's folder; that folder itself while there is none.
fs::path newest_snapshot(const fs::path& cache) {
    fs::path newest = cache / "snapshots";
    std::optional<fs::file_time_type> newest_time;
    for (const auto& snapshot : entries(cache / "snapshots")) {
        std::error_code error;
        const auto time = fs::last_write_time(snapshot, error);
        if (error || (newest_time && time <= *newest_time)) continue;
        newest = snapshot;
        newest_time = time;
    }
    return newest_time ? newest : newest / "*";
}

// Every place in the models folder to look at, in order.
std::vector<fs::path> places(const std::string& name, const fs::path& models_dir) {
    std::vector<fs::path> found{models_dir / name};
    const auto add_files = [&](const std::string& stem) {
        for (const std::string_view extension : kExtensions)
            if (extension == kExtensions[0] || is_there(models_dir / (stem + std::string(extension))))
                found.push_back(models_dir / (stem + std::string(extension)));
    };
    add_files(name);
    const std::size_t slash = name.find('/');
    if (slash != std::string::npos && name.find('/', slash + 1) == std::string::npos &&
        slash + 1 < name.size()) {
        const std::string model = name.substr(slash + 1);
        found.push_back(models_dir / model);
        add_files(model);
        const std::string cache = std::string(kHubPrefix) + name.substr(0, slash) + "--" + model;
        found.push_back(newest_snapshot(models_dir / cache));
    }
    return found;
}

// "models--org--name" -> "org/name"
std::string hub_id(std::string folder) {
    folder.erase(0, kHubPrefix.size());
    const std::size_t dashes = folder.find("--");
    return dashes == std::string::npos ? folder : folder.replace(dashes, 2, "/");
}

std::string lower(std::string text) {
    std::ranges::transform(text, text.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

// Levenshtein distance, letter case aside.
std::size_t distance(const std::string& left, const std::string& right) {
    return edit_distance(lower(left), lower(right));
}

// The nearest name, if it is near enough to be a slip of the hand.
std::optional<std::string> nearest(const std::string& name, const std::set<std::string>& names) {
    std::optional<std::string> best;
    std::size_t best_distance = std::max<std::size_t>(2, name.size() / 2) + 1;
    for (const auto& candidate : names) {
        const std::size_t here = distance(name, candidate);
        if (here >= best_distance) continue;
        best = candidate;
        best_distance = here;
    }
    return best;
}

[[noreturn]] void not_found(FileKind kind, const std::string& name, const std::vector<fs::path>& tried,
                            const fs::path& models_dir) {
    const std::string noun(kind_of(kind).noun);
    std::string message = "there is no " + noun + " " + quoted_name(name) + "; looked at ";
    for (std::size_t i = 0; i < tried.size(); ++i) message += (i > 0 ? ", '" : "'") + tried[i].string() + "'";
    std::set<std::string> names;
    if (kind == FileKind::kModel) names = models_in(models_dir);
    for (const auto& path : files_of(kind, models_dir)) names.insert(path.stem().string());
    if (names.empty())
        fail(ErrorCode::kNotFound,
             message + "; the models folder '" + models_dir.string() + "' holds no " + noun + "s");
    message += "; " + noun + "s that are there: ";
    std::size_t shown = 0;
    for (const auto& model : names) {
        if (shown == kModelsShown) break;
        message += (shown++ > 0 ? ", " : "") + quoted_name(model);
    }
    if (names.size() > kModelsShown)
        message += " and " + std::to_string(names.size() - kModelsShown) + " more";
    const auto suggestion = nearest(name, names);
    fail(ErrorCode::kNotFound,
         suggestion ? message + "; did you mean " + quoted_name(*suggestion) + "?" : message);
}

}  // namespace

void require_inside(FileKind kind, const fs::path& place, const std::string& name,
                    const fs::path& models_dir) {
    std::error_code error;
    const fs::path root = fs::weakly_canonical(fs::absolute(models_dir), error);
    const auto inside = [&](const fs::path& path) {
        const fs::path real = fs::canonical(path, error);
        return !error && lies_in(real, root);
    };
    bool all = inside(place);
    if (all && fs::is_directory(place, error))
        for (fs::recursive_directory_iterator at(place, error), end; all && at != end; at.increment(error))
            all = !at->is_symlink(error) || inside(at->path());
    // What cannot be looked at may lead anywhere.
    if (!all || error)
        fail(ErrorCode::kInvalidRequest,
             "the " + std::string(kind_of(kind).noun) + " " + quoted_name(name) +
                 " leads out of the models folder '" + models_dir.string() +
                 "'; put the files themselves there, or start the worker with the folder they are in");
}

std::set<std::string> models_in(const fs::path& models_dir) {
    std::set<std::string> names;
    for (const auto& path : entries(models_dir)) {
        const std::string file = path.filename().string();
        if (is_model_file(path)) names.insert(path.stem().string());
        if (file.starts_with(kHubPrefix)) names.insert(hub_id(file));
        if (is_there(path / "model_index.json")) names.insert(file);
        for (const auto& inner : entries(path))
            if (is_model_file(inner) || is_there(inner / "model_index.json"))
                names.insert(file + "/" + inner.filename().string());
    }
    return names;
}

bool lies_in(const fs::path& path, const fs::path& folder) {
    const auto [end, ignored] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
    return end == folder.end() || end->empty();  // a folder's path may end in '/'
}

std::vector<fs::path> files_of(FileKind kind, const fs::path& models_dir) {
    std::vector<fs::path> files;
    std::error_code ignored;
    for (const std::string_view folder : kind_of(kind).folders)
        for (fs::recursive_directory_iterator
                 at(models_dir / folder, fs::directory_options::skip_permission_denied, ignored),
             end;
             at != end; at.increment(ignored)) {
            const bool is_folder = at->is_directory(ignored);
            const bool is_model = is_folder && is_there(at->path() / "config.json");
            if (is_folder && (is_model || at.depth() >= kMostDepth)) at.disable_recursion_pending();
            if (is_model || (!is_folder && is_weights_file(at->path()))) files.push_back(at->path());
            if (files.size() == kMostFiles) return files;
        }
    std::ranges::sort(files);
    return files;
}

fs::path resolve_file(FileKind kind, const std::string& name, const fs::path& models_dir, bool confine) {
    check_name(name);
    fs::path path(name);
    std::vector<fs::path> tried;
    if (path.is_relative()) {
        for (const std::string_view folder : kind_of(kind).folders)
            if (is_there(models_dir / folder)) {
                tried.push_back(models_dir / folder / name);
                for (const std::string_view extension : kExtensions)
                    if (const fs::path file = models_dir / folder / (name + std::string(extension));
                        extension == kExtensions[0] || is_there(file))
                        tried.push_back(file);
            }
        const auto others = places(name, models_dir);
        tried.insert(tried.end(), others.begin(), others.end());
    }
    for (const auto& place : tried) {
        if (!is_there(place)) continue;
        require_inside(kind, place, name, models_dir);
        return place;
    }
    std::vector<fs::path> below;
    for (const auto& file : files_of(kind, models_dir))
        if (file.stem() == name || file.filename() == name) below.push_back(file);
    if (below.size() > 1)
        fail(ErrorCode::kInvalidRequest, "the name " + quoted_name(name) + " is that of several files, '" +
                                             below[0].string() + "' and '" + below[1].string() +
                                             "' among them; give the path of one");
    if (!below.empty()) {
        require_inside(kind, below[0], name, models_dir);
        return below[0];
    }
    const bool is_path = path.is_absolute() || name.find('/') != std::string::npos || is_weights_file(path);
    if (is_path) {
        tried.push_back(path);
        if (confine && is_there(path)) require_inside(kind, path, name, models_dir);
        if (is_there(path)) return path;
    }
    not_found(kind, name, tried, models_dir);
}

fs::path resolve_model(const std::string& name, const fs::path& models_dir, bool confine) {
    return resolve_file(FileKind::kModel, name, models_dir, confine);
}

}  // namespace sdxl
