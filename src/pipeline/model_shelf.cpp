#include "pipeline/model_shelf.h"

#include <set>

#include "core/file_stamp.h"

namespace sdxl {

std::string ModelShelf::key_of(const WeightMap& weights, const std::string& more) {
    std::set<std::string> files;
    for (const auto& [name, entry] : weights.entries()) files.insert(entry.bytes->path());
    std::string key = weights.component() + "\n" + more + "\n";
    for (const auto& file : files) key += file + " " + file_stamp(file) + "\n";
    return key;
}

}  // namespace sdxl
