// From the name of a model in a request to its place on disk.
#pragma once

#include <filesystem>
#include <string>

namespace sdxl {

// Where `name` is, the first of:
//   an absolute path as it is;
//   <models_dir>/<name>, also with .safetensors added;
//   for a hub id "org/model": <models_dir>/model, also with .safetensors added, and the newest snapshot of a
//   hub cache at <models_dir>/models--org--model; <name> from the working directory.
// Relative names must not contain "..". Only looks whether something is there; open_checkpoint says whether
// it is a model. Fails with kInvalidRequest for an empty name or one with "..", kNotFound with the places
// that were tried, the models that are there and the nearest name.
std::filesystem::path resolve_model(const std::string& name, const std::filesystem::path& models_dir);

}  // namespace sdxl
