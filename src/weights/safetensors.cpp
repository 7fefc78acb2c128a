#include "weights/safetensors.h"

#include <nlohmann/json.hpp>
#include <set>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "weights/json_file.h"
#include "weights/torch_file.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;

TensorFiles open_one(const fs::path& path) {
    if (is_torch_file(path)) return {open_torch_file(path), {}};
    const auto file = SafetensorsFile::open(path);
    const std::span<const std::byte> bytes = file->bytes();
    return {tensors_of(file->header(), bytes, file), file->header().metadata};
}

// A shard is a plain file name: an index must not reach outside its folder.
void check_shard_name(const std::string& shard, const fs::path& index) {
    const bool plain = !shard.empty() && shard != "." && shard != ".." &&
                       shard.find_first_of(std::string_view("/\\:\0", 4)) == std::string::npos;
    if (!plain)
        fail(ErrorCode::kInvalidModel, "'" + index.string() + "': shard " + quoted_name(shard) +
                                           " is not a plain file name beside the index");
}

// Tensor name -> shard file name.
std::map<std::string, std::string> read_weight_map(const fs::path& index) {
    const auto json = read_json_object(index);
    const auto map = json.find("weight_map");
    if (map == json.end() || !map->is_object() || map->empty())
        fail(ErrorCode::kInvalidModel, "'" + index.string() + "' has no 'weight_map' with tensor names");
    std::map<std::string, std::string> shards;
    for (const auto& [tensor, shard] : map->items()) {
        if (!shard.is_string())
            fail(ErrorCode::kInvalidModel, "'" + index.string() + "': the shard of tensor " +
                                               quoted_name(tensor) + " is not a file name");
        shards.emplace(tensor, shard.get<std::string>());
        check_shard_name(shards[tensor], index);
    }
    return shards;
}

void add_shard(FileTensors& all, const fs::path& index, const std::string& shard) {
    const fs::path path = index.parent_path() / shard;
    std::error_code ignored;
    if (!fs::exists(path, ignored))
        fail(ErrorCode::kInvalidModel, "'" + index.string() + "' names the shard '" + shard +
                                           "', which is not there: download the missing file");
    for (auto& [name, tensor] : open_one(path).tensors) {
        const auto [place, added] = all.try_emplace(name, tensor);
        if (!added)
            fail(ErrorCode::kInvalidModel, "tensor " + quoted_name(name) + " stands in two shards, '" +
                                               place->second.bytes->path() + "' and '" + path.string() + "'");
    }
}

TensorFiles open_shards(const fs::path& index) {
    const auto weight_map = read_weight_map(index);
    std::set<std::string> shards;
    for (const auto& [tensor, shard] : weight_map) shards.insert(shard);
    TensorFiles files;
    for (const auto& shard : shards) add_shard(files.tensors, index, shard);
    for (const auto& [name, shard] : weight_map) {
        const auto found = files.tensors.find(name);
        if (found == files.tensors.end() || fs::path(found->second.bytes->path()).filename() != shard)
            fail(ErrorCode::kInvalidModel, "'" + index.string() + "' places tensor " + quoted_name(name) +
                                               " in '" + shard + "', which does not hold it");
    }
    return files;
}

}  // namespace

SafetensorsFile::SafetensorsFile(MappedFile file)
    : file_(std::move(file)), header_(parse_safetensors(file_.bytes(), file_.path())) {}

std::shared_ptr<const SafetensorsFile> SafetensorsFile::open(const fs::path& path) {
    return std::make_shared<const SafetensorsFile>(MappedFile(path));
}

FileTensors tensors_of(const SafetensorsHeader& header, std::span<const std::byte> file,
                       const std::shared_ptr<const WeightBytes>& bytes) {
    FileTensors tensors;
    for (const auto& record : header.tensors) {
        const std::byte* data = file.data() + header.data_offset + record.begin;
        tensors.emplace(record.name, FileTensor{{data, record.dtype, record.shape, record.name}, bytes});
    }
    return tensors;
}

TensorFiles open_tensor_files(const fs::path& path) {
    return path.extension() == ".json" ? open_shards(path) : open_one(path);
}

}  // namespace sdxl
