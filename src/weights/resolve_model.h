// From the name of a model in a request to its place on disk.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace sdxl {

// Where `name` is, the first of:
//   an absolute path as it is;
//   <models_dir>/<name>, also with .safetensors, .ckpt, .pt, .pth or .bin added;
//   for a hub id "org/model": <models_dir>/model, likewise, and the newest snapshot of a
//   hub cache at <models_dir>/models--org--model;
//   a path from the working directory, if it looks like one (it has a '/' or ends as files of weights do).
// Relative names must not contain "..", and what a name finds in the models folder must not leave it by
// links. With `confine`, neither may a path. Only looks whether something is there; open_checkpoint says
// whether it is a model. Fails with kInvalidRequest for an empty name or one that leaves, kNotFound with the
// places that were tried, the models that are there and the nearest name.
std::filesystem::path resolve_model(const std::string& name, const std::filesystem::path& models_dir,
                                    bool confine = false);

// What else a request may name, each with folders of its own under the models folder.
enum class FileKind { kModel, kLora, kEmbedding, kControl, kReference };

// The same for other files. Before anything else in the models folder come the kind's own folders there
// ("loras", "Lora", ...) and what lies below them: by its path from there, or by its file's name alone if
// that is the only one. Fails as resolve_model, and with kInvalidRequest for a name of several files.
std::filesystem::path resolve_file(FileKind kind, const std::string& name,
                                   const std::filesystem::path& models_dir, bool confine = false);

// Fails with kInvalidRequest if `place`, or what lies in it, is a link out of the models folder.
void require_inside(FileKind kind, const std::filesystem::path& place, const std::string& name,
                    const std::filesystem::path& models_dir);

// Files and model folders in the folders of a kind.
std::vector<std::filesystem::path> files_of(FileKind kind, const std::filesystem::path& models_dir);

// Names under which the models in `models_dir` can be asked for.
std::set<std::string> models_in(const std::filesystem::path& models_dir);

// Both without links and "..": `path` is `folder` or inside of it.
bool lies_in(const std::filesystem::path& path, const std::filesystem::path& folder);

}  // namespace sdxl
