// The checks of sdxl-golden. Each prints its lines and gives the exit status: 0, or 1 where a case failed or
// none ran. A file that cannot be read or is malformed is thrown (FixtureError, sdxl::Failure,
// nlohmann::json::exception).
#pragma once

#include <string>

namespace sdxl::golden {

int run_schedulers(const std::string& file);
int run_rng(const std::string& file);
// `vocabulary`: the folder of CLIP's merges.txt; empty for the default place.
int run_tokenizer(const std::string& file, const std::string& vocabulary);

}  // namespace sdxl::golden
